//! Conditions of a change: headers that a caller sends beside the input, on both transports.

use crate::error::{Error, ErrorKind};

/// Header that makes a repeated call return the first answer.
pub const IDEMPOTENCY_KEY: &str = "idempotency-key";
/// Header with the revision that the caller has read.
pub const IF_MATCH: &str = "if-match";
/// Maximum length of an idempotency key, in characters.
const MAX_KEY: usize = 255;

/// The conditions that an operation reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accepts {
    /// None. For operations that only read.
    Nothing,
    /// An idempotency key, which is optional because a repeat changes nothing by itself.
    IdempotencyKey,
    /// An idempotency key, without which a repeat would be a second change.
    RequiredIdempotencyKey,
    /// The revision that the caller changes. An idempotency key is optional.
    RequiredRevision,
}

/// The conditions of a call.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Conditions {
    /// Identifies the change among all changes of the caller within 24 hours.
    pub idempotency_key: Option<String>,
    /// The revision that the caller changes. `None` if the operation does not require it.
    pub revision: Option<Revision>,
}

/// A required revision of a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Revision {
    /// `*`: whatever the revision is.
    Any,
    /// Only this revision, so that a lost update is rejected.
    Exactly(i64),
}

impl Conditions {
    /// Parses the values of the two headers. `None` if a header is absent.
    pub fn parse(
        accepts: Accepts,
        idempotency_key: Option<&str>,
        if_match: Option<&str>,
    ) -> Result<Self, Error> {
        if accepts == Accepts::Nothing {
            return Ok(Self::default());
        }
        if accepts == Accepts::RequiredIdempotencyKey && idempotency_key.is_none() {
            let message = format!("is missing; expected {}", accepted_key());
            return Err(Error::invalid(
                "idempotency_key_missing",
                IDEMPOTENCY_KEY,
                message,
            ));
        }
        let revision = match accepts {
            Accepts::RequiredRevision => Some(Revision::parse(if_match)?),
            _ => None,
        };
        Ok(Self {
            idempotency_key: idempotency_key.map(key).transpose()?,
            revision,
        })
    }

    /// Fails if the caller has read another revision than `current`.
    pub fn check(&self, current: i64) -> Result<(), Error> {
        match self.revision {
            Some(Revision::Exactly(expected)) if expected != current => Err(Error::new(
                ErrorKind::PreconditionFailed,
                "revision_changed",
                format!(
                    "The revision is {current}. Read the resource again, and send its etag as \
                     if-match."
                ),
            )),
            _ => Ok(()),
        }
    }
}

impl Revision {
    /// Parses the entity tag of a response: the revision, optionally followed by a hyphen and the
    /// hash of the response.
    fn parse(if_match: Option<&str>) -> Result<Self, Error> {
        const ACCEPTED: &str = "the etag of an earlier response, such as \"3\", or *";
        let Some(text) = if_match else {
            return Err(Error::new(
                ErrorKind::PreconditionRequired,
                "if_match_missing",
                format!("The header if-match is missing. Send {ACCEPTED}."),
            ));
        };
        if text == "*" {
            return Ok(Self::Any);
        }
        let tag = text
            .strip_prefix('"')
            .and_then(|rest| rest.strip_suffix('"'));
        tag.and_then(|tag| tag.split('-').next()?.parse().ok())
            .map(Self::Exactly)
            .ok_or_else(|| Error::parameter(IF_MATCH, ACCEPTED))
    }
}

fn accepted_key() -> String {
    format!("1 to {MAX_KEY} visible ASCII characters, such as a new UUID")
}

/// A key, without the quotes that make it a string of structured fields (RFC 8941).
fn key(text: &str) -> Result<String, Error> {
    let quoted = text
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'));
    let key = quoted.unwrap_or(text);
    let is_valid =
        (1..=MAX_KEY).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic());
    is_valid
        .then(|| key.to_owned())
        .ok_or_else(|| Error::parameter(IDEMPOTENCY_KEY, &accepted_key()))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(Accepts::Nothing, Some(""), Some("x"), Ok((None, None)))]
    #[case(Accepts::IdempotencyKey, None, Some("x"), Ok((None, None)))]
    #[case(Accepts::IdempotencyKey, Some("\"k-1\""), None, Ok((Some("k-1"), None)))]
    #[case(Accepts::IdempotencyKey, Some(""), None, Err("invalid_parameter"))]
    #[case(Accepts::IdempotencyKey, Some("a b"), None, Err("invalid_parameter"))]
    #[case(
        Accepts::RequiredIdempotencyKey,
        None,
        None,
        Err("idempotency_key_missing")
    )]
    #[case(Accepts::RequiredIdempotencyKey, Some("k"), None, Ok((Some("k"), None)))]
    #[case(Accepts::RequiredRevision, Some("k"), Some("*"), Ok((Some("k"), Some(Revision::Any))))]
    #[case(Accepts::RequiredRevision, None, Some("\"7\""), Ok((None, Some(Revision::Exactly(7)))))]
    #[case(
        Accepts::RequiredRevision,
        None,
        Some("\"7-0f\""),
        Ok((None, Some(Revision::Exactly(7))))
    )]
    #[case(Accepts::RequiredRevision, None, Some("7"), Err("invalid_parameter"))]
    #[case(
        Accepts::RequiredRevision,
        None,
        Some("W/\"7\""),
        Err("invalid_parameter")
    )]
    #[case(Accepts::RequiredRevision, None, None, Err("if_match_missing"))]
    fn an_operation_reads_the_conditions_that_it_accepts(
        #[case] accepts: Accepts,
        #[case] key: Option<&str>,
        #[case] if_match: Option<&str>,
        #[case] expected: Result<(Option<&str>, Option<Revision>), &str>,
    ) {
        let parsed = Conditions::parse(accepts, key, if_match);
        let parsed = parsed
            .as_ref()
            .map(|parsed| (parsed.idempotency_key.as_deref(), parsed.revision))
            .map_err(Error::code);
        assert_eq!(parsed, expected);
    }

    #[test]
    fn another_revision_than_the_current_one_is_rejected() {
        let of = |revision| Conditions {
            revision,
            ..Conditions::default()
        };
        assert!(of(Some(Revision::Exactly(2))).check(2).is_ok());
        assert!(of(Some(Revision::Any)).check(2).is_ok());
        let error = of(Some(Revision::Exactly(1))).check(2).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::PreconditionFailed);
    }
}
