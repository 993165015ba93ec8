//! Where people sign in.

use serde::Serialize;
use shared::config::{ConfigError, invalid, optional, required};
use url::Url;

/// What the page needs to know of the deployment. It is served as `config.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Settings {
    /// URL of the OIDC issuer, below which its configuration is found.
    pub issuer: String,
    /// Id of the console at the issuer, a public client.
    pub client_id: String,
    /// Scopes that the console requests, separated by spaces.
    pub scope: String,
    /// Always null: the API has the address of the page. A copy of the page that is served from
    /// elsewhere names its URL here.
    pub api: Option<String>,
    /// Origins besides the issuer's to which the page may send requests, such as that of the
    /// issuer's token endpoint.
    #[serde(skip)]
    pub origins: Vec<String>,
}

impl Settings {
    /// Reads the settings from the environment variables of the function.
    pub fn from_env() -> Result<Self, ConfigError> {
        const ISSUER: &str = "TELECOM_CONSOLE_ISSUER";
        const ORIGINS: &str = "TELECOM_CONSOLE_ORIGINS";
        let issuer = required(ISSUER)?;
        if origin_of(&issuer).is_none() {
            return Err(invalid(ISSUER, format!("{issuer:?} is not a URL")));
        }
        let listed = optional(ORIGINS).unwrap_or_default();
        let listed = listed
            .split(',')
            .map(str::trim)
            .filter(|one| !one.is_empty());
        let origin = |one: &str| {
            origin_of(one)
                .filter(|origin| origin == one)
                .ok_or_else(|| {
                    invalid(
                        ORIGINS,
                        format!("{one:?} is not an origin such as https://auth.example.com"),
                    )
                })
        };
        Ok(Self {
            issuer,
            client_id: required("TELECOM_CONSOLE_CLIENT_ID")?,
            scope: optional("TELECOM_CONSOLE_SCOPE").unwrap_or_else(|| "openid".to_owned()),
            api: None,
            origins: listed.map(origin).collect::<Result<_, _>>()?,
        })
    }

    /// The policy that the browser enforces: only files of the console, no inline script or style,
    /// and requests to the API and the issuer alone.
    pub(crate) fn content_security_policy(&self) -> String {
        let origins = origin_of(&self.issuer)
            .into_iter()
            .chain(self.origins.iter().cloned());
        let connect: Vec<String> = origins.collect();
        format!(
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
             font-src 'self'; connect-src 'self' {}; base-uri 'none'; form-action 'none'; \
             frame-ancestors 'none'; require-trusted-types-for 'script'",
            connect.join(" ")
        )
    }
}

/// The origin of an HTTP URL.
fn origin_of(url: &str) -> Option<String> {
    let url = Url::parse(url).ok()?;
    matches!(url.scheme(), "http" | "https").then(|| url.origin().ascii_serialization())
}
