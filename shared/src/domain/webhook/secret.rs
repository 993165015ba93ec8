//! Secrets of webhooks, and the signatures that they make.

use aws_lc_rs::{hmac, rand};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use uuid::Uuid;

use crate::error::Error;

/// Prefix of a shown secret, as Standard Webhooks defines it.
pub const PREFIX: &str = "whsec_";
/// Length of a secret in bytes.
pub const SECRET_BYTES: usize = 32;
/// Version of the signatures: HMAC-SHA256.
const VERSION: &str = "v1";

/// The secret that a receiver shares with this system.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookSecret([u8; SECRET_BYTES]);

impl WebhookSecret {
    /// A new secret of 256 random bits.
    pub fn random() -> Result<Self, Error> {
        let mut bytes = [0; SECRET_BYTES];
        rand::fill(&mut bytes).map_err(|_| Error::internal("the system has no random bytes"))?;
        Ok(Self(bytes))
    }

    /// The secret with these bytes.
    #[must_use]
    pub fn from_bytes(bytes: [u8; SECRET_BYTES]) -> Self {
        Self(bytes)
    }

    /// The bytes, for their encryption only.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; SECRET_BYTES] {
        &self.0
    }

    /// The secret in the form that receivers enter, for the only response that shows it.
    #[must_use]
    pub fn show(&self) -> String {
        format!("{PREFIX}{}", BASE64.encode(self.0))
    }

    /// Signs a request with this id, time in seconds since 1970, and body.
    #[must_use]
    pub fn sign(&self, id: Uuid, timestamp: i64, body: &str) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.0);
        let tag = hmac::sign(&key, format!("{id}.{timestamp}.{body}").as_bytes());
        format!("{VERSION},{}", BASE64.encode(tag))
    }
}

/// Shows no secret in logs.
impl std::fmt::Debug for WebhookSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("WebhookSecret")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_random_and_have_the_form_of_the_specification() {
        let [one, other] = [(); 2].map(|()| WebhookSecret::random().unwrap());
        assert_ne!(one, other);
        let bytes = BASE64.decode(one.show().strip_prefix("whsec_").unwrap());
        assert_eq!(bytes.unwrap(), one.as_bytes());
        assert_eq!(format!("{one:?}"), "WebhookSecret");
    }

    /// The expected value is from `openssl dgst -sha256 -mac hmac`.
    #[test]
    fn a_signature_covers_id_time_and_body() {
        let secret = WebhookSecret::from_bytes(*b"0123456789abcdef0123456789abcdef");
        let id = Uuid::from_u128(7);
        let signature = secret.sign(id, 1_700_000_000, r#"{"a":1}"#);
        assert_eq!(signature, "v1,JiJ/YeRG3DKZzKv70dLwAApojgbvzGepax1HLKoG65M=");
        assert_ne!(secret.sign(id, 1_700_000_001, r#"{"a":1}"#), signature);
    }
}
