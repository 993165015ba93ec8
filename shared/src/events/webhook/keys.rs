//! Where the keys that encrypt the secrets of webhooks come from.

use std::sync::Arc;

use aws_config::SdkConfig;
use aws_sdk_secretsmanager::Client as SecretsManager;
use tokio::sync::OnceCell;

use crate::domain::webhook::key::WebhookKeys;
use crate::error::{Error, ErrorKind};

/// A source of keys, which are read at their first use and kept.
#[derive(Debug, Clone, Default)]
pub struct WebhookKeySource {
    keys: Arc<OnceCell<WebhookKeys>>,
    location: Location,
}

#[derive(Debug, Clone, Default)]
enum Location {
    #[default]
    Nowhere,
    Secret(SecretsManager, String),
}

impl WebhookKeySource {
    /// Keys in a secret of Secrets Manager.
    #[must_use]
    pub fn secret(aws: &SdkConfig, arn: String) -> Self {
        Self {
            keys: Arc::default(),
            location: Location::Secret(SecretsManager::new(aws), arn),
        }
    }

    /// Keys in a text, as a secret contains them. Without keys if the text has none.
    #[must_use]
    pub fn text(text: &str) -> Self {
        WebhookKeys::parse(text).map_or_else(|_| Self::default(), Self::fixed)
    }

    /// Keys that are known already.
    #[must_use]
    pub fn fixed(keys: WebhookKeys) -> Self {
        Self {
            keys: Arc::new(OnceCell::new_with(Some(keys))),
            location: Location::Nowhere,
        }
    }

    /// Whether the deployment has keys, so that it has webhooks.
    #[must_use]
    pub fn exists(&self) -> bool {
        self.keys.initialized() || matches!(self.location, Location::Secret(..))
    }

    /// Returns the keys. Fails if the deployment has none, or if they cannot be read.
    pub async fn keys(&self) -> Result<&WebhookKeys, Error> {
        // Boxed, because the future of an AWS client is too deeply nested to be part of another.
        self.keys.get_or_try_init(|| Box::pin(self.read())).await
    }

    /// Returns the keys if they were read before.
    pub fn known(&self) -> Result<&WebhookKeys, Error> {
        self.keys.get().ok_or_else(|| match self.location {
            Location::Secret(..) => Error::unavailable("the keys of webhooks were not read"),
            Location::Nowhere => not_enabled(),
        })
    }

    async fn read(&self) -> Result<WebhookKeys, Error> {
        let Location::Secret(client, arn) = &self.location else {
            return Err(not_enabled());
        };
        let response = client
            .get_secret_value()
            .secret_id(arn)
            .send()
            .await
            .map_err(Error::unavailable)?;
        WebhookKeys::parse(response.secret_string().unwrap_or_default())
    }
}

fn not_enabled() -> Error {
    Error::new(
        ErrorKind::Conflict,
        "webhooks_not_enabled",
        "This deployment has no webhooks. Its operator can enable them.",
    )
}
