//! Dependencies of a function: database, AWS clients, clock, configuration. Each is created at its
//! first use.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use aws_config::SdkConfig;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use sqlx::PgPool;
use tokio::sync::OnceCell;

use crate::auth::{Admission, Authenticator};
use crate::aws;
use crate::clock::Context;
use crate::config::{
    AuthConfig, ConfigError, DatabaseConfig, MessagingConfig, RateLimitConfig, TelecomConfig,
    WebhookConfig, WebhookKeyLocation,
};
use crate::db;
use crate::db::credentials::Credentials;
use crate::events::publisher::Publisher;
use crate::events::webhook::keys::WebhookKeySource;

/// Reason why a function cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An environment variable is missing or invalid.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The HTTP client for the key set cannot be created.
    #[error("TELECOM_AUTH_JWKS_URL: {0}")]
    Keys(#[from] reqwest::Error),
}

/// A service that can be created from an [`App`]. Its future is boxed for the same reason as that
/// of [`Processor`](crate::services::Processor).
#[async_trait]
pub trait FromApp: Sized {
    /// Creates the service with the dependencies it uses.
    async fn from_app(app: &App) -> Result<Self, StartError>;
}

/// The shared dependencies of a process.
#[derive(Debug)]
pub struct App {
    aws: OnceCell<SdkConfig>,
    load_aws: fn() -> BoxFuture<'static, SdkConfig>,
    database: OnceLock<(PgPool, Credentials)>,
    max_connections: u32,
}

impl App {
    /// The app of a function, which has one connection.
    #[must_use]
    pub fn function() -> Self {
        Self::new(1, || aws::of_function().boxed())
    }

    /// The app of a server, whose pool has at most `max_connections` connections.
    #[must_use]
    pub fn server(max_connections: u32) -> Self {
        Self::new(max_connections, || aws::of_server().boxed())
    }

    /// `DATABASE_MAX_CONNECTIONS` takes precedence over `max_connections`.
    fn new(max_connections: u32, load_aws: fn() -> BoxFuture<'static, SdkConfig>) -> Self {
        Self {
            aws: OnceCell::new(),
            load_aws,
            database: OnceLock::new(),
            max_connections,
        }
    }

    /// The connection pool for `DATABASE_URL`, shared by all services of the process. It connects
    /// at its first use.
    pub fn database(&self) -> Result<PgPool, StartError> {
        let config = DatabaseConfig::from_env(self.max_connections)?;
        let (pool, _) = self
            .database
            .get_or_init(|| (db::connect(&config), Credentials::new(config.login)));
        Ok(pool.clone())
    }

    /// Renews the credentials for new database connections, if they expire. To be called before
    /// each invocation. A failure is only logged, because the current credentials may still be
    /// valid.
    pub async fn renew_login(&self) {
        let Some((pool, credentials)) = self
            .database
            .get()
            .filter(|(_, credentials)| credentials.change())
        else {
            return;
        };
        // Boxed, because the future of an AWS client is too deeply nested to be part of the future
        // of an invocation.
        let renewed = Box::pin(async {
            credentials
                .renew(pool, self.aws().await, self.context().now())
                .await
        });
        if let Err(error) = renewed.await {
            tracing::error!(
                error_code = error.code(),
                cause = error.cause(),
                "cannot renew the database credentials"
            );
        }
    }

    /// Renews the credentials periodically, for a process that also runs between calls. Never
    /// returns.
    pub async fn keep_login(&self) -> ! {
        const INTERVAL: Duration = Duration::from_secs(30);
        loop {
            self.renew_login().await;
            tokio::time::sleep(INTERVAL).await;
        }
    }

    /// The configuration of the SDK. `AWS_ENDPOINT_URL` selects AWS or an emulator.
    async fn aws(&self) -> &SdkConfig {
        self.aws.get_or_init(self.load_aws).await
    }

    /// The system clock and random ids.
    #[must_use]
    pub fn context(&self) -> Context {
        Context::system()
    }

    /// The settings of the deployment.
    pub fn config(&self) -> Result<TelecomConfig, StartError> {
        Ok(TelecomConfig::from_env()?)
    }

    /// A publisher to the queues and the event bus named by the environment.
    pub async fn publisher(&self) -> Publisher {
        Publisher::new(self.aws().await, MessagingConfig::from_env())
    }

    /// The settings of webhooks.
    pub fn webhooks(&self) -> Result<WebhookConfig, StartError> {
        Ok(WebhookConfig::from_env()?)
    }

    /// The keys that encrypt the secrets of webhooks, read at their first use.
    pub async fn webhook_keys(&self, config: &WebhookConfig) -> WebhookKeySource {
        match &config.keys {
            Some(WebhookKeyLocation::Secret(arn)) => {
                WebhookKeySource::secret(self.aws().await, arn.clone())
            }
            Some(WebhookKeyLocation::Here(text)) => WebhookKeySource::text(text),
            None => WebhookKeySource::default(),
        }
    }

    /// Verifies the tokens of callers and limits the rate of their calls.
    pub fn admission(&self) -> Result<Admission, StartError> {
        let clock = self.context().clock;
        let authenticator = Authenticator::new(AuthConfig::from_env()?, Arc::clone(&clock))?;
        let limit = RateLimitConfig::from_env()?;
        Ok(Admission::new(authenticator, limit, clock))
    }
}
