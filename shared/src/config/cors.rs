//! Cross-origin requests.

use http::HeaderValue;
use url::Url;

use super::{ConfigError, invalid, optional};

/// Web pages that may call the API.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CorsConfig {
    /// `TELECOM_CORS_ALLOWED_ORIGINS`: comma-separated origins such as `https://app.example.com`,
    /// or `*` for all. Default: none.
    pub allowed_origins: Vec<HeaderValue>,
}

impl CorsConfig {
    /// Reads the variable. Fails if an element of the list is neither an origin nor `*`.
    pub fn from_env() -> Result<Self, ConfigError> {
        const NAME: &str = "TELECOM_CORS_ALLOWED_ORIGINS";
        let list = optional(NAME).unwrap_or_default();
        let origins = list
            .split(',')
            .map(str::trim)
            .filter(|origin| !origin.is_empty());
        let origin = |origin: &str| {
            let known = origin == "*"
                || Url::parse(origin).is_ok_and(|url| url.origin().ascii_serialization() == origin);
            HeaderValue::from_str(origin)
                .ok()
                .filter(|_| known)
                .ok_or_else(|| {
                    invalid(
                        NAME,
                        format!(
                            "{origin:?} is neither an origin such as https://app.example.com nor *"
                        ),
                    )
                })
        };
        Ok(Self {
            allowed_origins: origins.map(origin).collect::<Result<_, _>>()?,
        })
    }
}
