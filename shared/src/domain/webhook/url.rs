//! URLs of receivers.

use url::{Host, Url};

use crate::error::Error;

/// Maximum length of a URL, in characters.
pub const MAX_URL: usize = 500;

/// Which receivers a deployment allows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Receivers {
    /// Hosts on the internet, over HTTPS.
    #[default]
    Public,
    /// Any host, also over HTTP. For the development on one machine.
    Any,
}

impl Receivers {
    /// Returns a valid URL in its normal form. The address of the host is not known yet, and is
    /// checked at each connection.
    pub fn check(self, text: &str) -> Result<String, Error> {
        self.read(text)
            .map(String::from)
            .ok_or_else(|| Error::parameter("url", self.accepted()))
    }

    /// Reads a URL. `None` if no request may be sent to it.
    #[must_use]
    pub fn read(self, text: &str) -> Option<Url> {
        let url = Url::parse(text.trim()).ok()?;
        let is_plain = url.username().is_empty()
            && url.password().is_none()
            && url.fragment().is_none()
            && text.trim().len() <= MAX_URL
            && url.as_str().len() <= MAX_URL;
        let is_allowed = match self {
            // The network of the functions lets only connections to port 443 out.
            Self::Public => {
                url.scheme() == "https" && url.port().is_none() && has_public_name(&url)
            }
            Self::Any => ["http", "https"].contains(&url.scheme()),
        };
        (is_plain && is_allowed).then_some(url)
    }

    fn accepted(self) -> &'static str {
        match self {
            Self::Public => {
                "an https URL of at most 500 characters with port 443, whose host is a name with a \
                 dot, without user, password and fragment"
            }
            Self::Any => {
                "an http or https URL of at most 500 characters, without user, password and \
                 fragment"
            }
        }
    }
}

/// Whether the host is a name that may be public. An IP address needs no look-up, so no resolver
/// would check it.
fn has_public_name(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => {
            let name = name.trim_end_matches('.');
            let is_local = |suffix: &str| name.ends_with(suffix);
            name.contains('.')
                && ![".localhost", ".local", ".internal"]
                    .into_iter()
                    .any(is_local)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("https://example.com", "https://example.com/")]
    #[case(" https://EXAMPLE.com/a?b=c ", "https://example.com/a?b=c")]
    #[case("https://example.com:443/hooks", "https://example.com/hooks")]
    #[case("https://m\u{fc}nchen.example/", "https://xn--mnchen-3ya.example/")]
    fn an_https_url_of_a_named_host_is_accepted(#[case] text: &str, #[case] normal: &str) {
        assert_eq!(Receivers::Public.check(text).unwrap(), normal);
    }

    #[rstest]
    #[case::no_url("example.com")]
    #[case::not_encrypted("http://example.com/")]
    #[case::another_port("https://example.com:8443/")]
    #[case::another_scheme("file:///etc/passwd")]
    #[case::with_user("https://user@example.com/")]
    #[case::with_password("https://:secret@example.com/")]
    #[case::with_fragment("https://example.com/#a")]
    #[case::an_address("https://127.0.0.1/")]
    #[case::a_public_address("https://1.1.1.1/")]
    #[case::a_decimal_address("https://2130706433/")]
    #[case::a_hexadecimal_address("https://0x7f.1/")]
    #[case::an_octal_address("https://0177.0.0.1/")]
    #[case::a_v6_address("https://[::1]/")]
    #[case::a_mapped_address("https://[::ffff:127.0.0.1]/")]
    #[case::a_host_without_dot("https://localhost/")]
    #[case::a_host_with_a_last_dot("https://localhost./")]
    #[case::a_local_host("https://panel.localhost/")]
    #[case::metadata("https://metadata.google.internal/")]
    #[case::metadata_with_a_last_dot("https://metadata.google.internal./")]
    #[case::too_long(&format!("https://example.com/{}", "a".repeat(481)))]
    #[case::too_long_when_escaped(&format!("https://example.com/{}", "\u{fc}".repeat(200)))]
    fn other_urls_are_refused(#[case] text: &str) {
        let error = Receivers::Public.check(text).unwrap_err();
        assert_eq!(error.field(), Some("url"));
    }

    #[test]
    fn one_machine_may_send_to_itself_without_encryption() {
        assert!(Receivers::Any.check("http://127.0.0.1:8080/hook").is_ok());
        assert!(Receivers::Any.check("ftp://127.0.0.1/").is_err());
    }
}
