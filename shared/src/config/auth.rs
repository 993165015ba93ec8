//! Authentication of callers.

use std::time::Duration;

use jsonwebtoken::jwk::JwkSet;
use serde::Deserialize;
use serde_json::Value;
use url::Url;

use super::{ConfigError, invalid, optional, positive_seconds, required};

/// Requirements for the tokens of callers.
#[derive(Debug, Clone)]
pub struct AuthConfig {
    /// `TELECOM_AUTH_ISSUER`: the only accepted `iss`.
    pub issuer: String,
    /// `TELECOM_AUTH_AUDIENCE`: must be one of the audiences in `aud`.
    pub audience: String,
    /// The issuer's public keys.
    pub jwks: JwksConfig,
    /// `TELECOM_AUTH_MAX_TOKEN_LIFETIME_SECONDS` (default 86400, a day): a token with a longer
    /// lifetime is rejected.
    pub max_lifetime: Duration,
}

/// Source of the issuer's public keys. Exactly one of the two variables must be set.
#[derive(Debug, Clone)]
pub enum JwksConfig {
    /// `TELECOM_AUTH_JWKS`: the JSON Web Key Set itself.
    Inline(JwkSet),
    /// `TELECOM_AUTH_JWKS_URL`: URL of the set. It must use `https`, or `http` on localhost.
    Published(Url),
}

impl JwksConfig {
    fn from_env() -> Result<Self, ConfigError> {
        match (
            optional("TELECOM_AUTH_JWKS"),
            optional("TELECOM_AUTH_JWKS_URL"),
        ) {
            (Some(set), None) => parse_key_set(&set).map(Self::Inline).map_err(|error| {
                invalid(
                    "TELECOM_AUTH_JWKS",
                    format!("is not a JSON Web Key Set: {error}"),
                )
            }),
            (None, Some(url)) => key_url(&url).map(Self::Published),
            (None, None) => Err(invalid(
                "TELECOM_AUTH_JWKS",
                "is not set, and neither is TELECOM_AUTH_JWKS_URL; set one of them",
            )),
            (Some(_), Some(_)) => Err(invalid(
                "TELECOM_AUTH_JWKS",
                "and TELECOM_AUTH_JWKS_URL are both set; set only one of them",
            )),
        }
    }
}

/// Parses the URL of the key set. It must be protected by TLS or local, because an attacker who can
/// modify the keys in transit can impersonate any user.
fn key_url(text: &str) -> Result<Url, ConfigError> {
    let safe = |url: &Url| match url.host() {
        Some(url::Host::Domain(name)) => url.scheme() == "https" || name == "localhost",
        Some(url::Host::Ipv4(ip)) => url.scheme() == "https" || ip.is_loopback(),
        Some(url::Host::Ipv6(ip)) => url.scheme() == "https" || ip.is_loopback(),
        None => false,
    };
    Url::parse(text).ok().filter(safe).ok_or_else(|| {
        invalid(
            "TELECOM_AUTH_JWKS_URL",
            format!("{text:?} is not an https:// URL (http:// is allowed for localhost only)"),
        )
    })
}

impl AuthConfig {
    /// The default of `max_lifetime`.
    pub const MAX_LIFETIME: Duration = Duration::from_hours(24);

    /// Reads the variables. Fails if the issuer, the audience or the keys are not set.
    pub fn from_env() -> Result<Self, ConfigError> {
        const LIFETIME: &str = "TELECOM_AUTH_MAX_TOKEN_LIFETIME_SECONDS";
        let (issuer, audience) = (
            required("TELECOM_AUTH_ISSUER")?,
            required("TELECOM_AUTH_AUDIENCE")?,
        );
        let max_lifetime = positive_seconds(LIFETIME, Self::MAX_LIFETIME.as_secs())?;
        Ok(Self {
            issuer,
            audience,
            jwks: JwksConfig::from_env()?,
            max_lifetime,
        })
    }
}

/// Parses a JSON Web Key Set. A key that cannot be parsed, for example of a future type, is
/// ignored.
pub fn parse_key_set(text: &str) -> Result<JwkSet, serde_json::Error> {
    #[derive(Deserialize)]
    struct Set {
        keys: Vec<Value>,
    }
    let readable = |key: Value| match serde_json::from_value(key) {
        Ok(jwk) => Some(jwk),
        Err(error) => {
            tracing::warn!(%error, "ignoring a key of the set that cannot be parsed");
            None
        }
    };
    let Set { keys } = serde_json::from_str(text)?;
    Ok(JwkSet {
        keys: keys.into_iter().filter_map(readable).collect(),
    })
}
