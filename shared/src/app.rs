//! What a function is made of: it takes from here only what it uses, and nothing is opened before
//! it is used.

use std::sync::OnceLock;
use std::time::Duration;

use async_trait::async_trait;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig};
use sqlx::PgPool;
use tokio::sync::OnceCell;

use crate::auth::Authenticator;
use crate::clock::Context;
use crate::config::{AuthConfig, ConfigError, DatabaseConfig, MessagingConfig, TelecomConfig};
use crate::db;
use crate::db::credentials::Credentials;
use crate::events::publisher::Publisher;

/// By default the SDK waits without a limit for an answer on an open connection.
fn aws_timeouts() -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(2))
        .operation_attempt_timeout(Duration::from_secs(5))
        .operation_timeout(Duration::from_secs(12))
        .build()
}

/// Why a function could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Its environment is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Nothing can be fetched over TLS here.
    #[error("TELECOM_AUTH_JWKS_URL: {0}")]
    Keys(#[from] reqwest::Error),
}

/// A service that a function can be made of. Boxed for the reason that
/// [`Processor`](crate::services::Processor) is.
#[async_trait]
pub trait FromApp: Sized {
    /// Takes what it needs.
    async fn from_app(app: &App) -> Result<Self, StartError>;
}

/// The parts.
#[derive(Debug)]
pub struct App {
    aws: OnceCell<SdkConfig>,
    database: OnceLock<(PgPool, Credentials)>,
    max_connections: u32,
}

impl Default for App {
    fn default() -> Self {
        Self::with_connections(1)
    }
}

impl App {
    /// An app that opens at most `max_connections` to the database, unless the environment says
    /// otherwise.
    #[must_use]
    pub fn with_connections(max_connections: u32) -> Self {
        Self {
            aws: OnceCell::new(),
            database: OnceLock::new(),
            max_connections,
        }
    }

    /// The pool over `DATABASE_URL`, one for all services of the process; it connects at its first
    /// use.
    pub fn database(&self) -> Result<PgPool, StartError> {
        let config = DatabaseConfig::from_env(self.max_connections)?;
        let (pool, _) = self
            .database
            .get_or_init(|| (db::connect(&config), Credentials::new(config.login)));
        Ok(pool.clone())
    }

    /// Renews what the database's next connections log in with, where that grows old: before each
    /// invocation. What cannot be renewed is told; what there is may still do.
    pub async fn renew_login(&self) {
        let Some((pool, credentials)) = self
            .database
            .get()
            .filter(|(_, credentials)| credentials.change())
        else {
            return;
        };
        // Boxed: a client of AWS nests deeper than a compiler likes within an invocation's own
        // future.
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

    /// Renews it again and again, for a process that runs on between calls; it never ends.
    pub async fn keep_login(&self) -> ! {
        const LOOK_EVERY: Duration = Duration::from_secs(30);
        loop {
            self.renew_login().await;
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// `AWS_ENDPOINT_URL` and the SDK's other variables decide whether it is AWS or an emulator.
    async fn aws(&self) -> &SdkConfig {
        self.aws
            .get_or_init(|| {
                aws_config::defaults(BehaviorVersion::latest())
                    .timeout_config(aws_timeouts())
                    .load()
            })
            .await
    }

    /// The machine's clock and random ids.
    #[must_use]
    pub fn context(&self) -> Context {
        Context::system()
    }

    /// The rules of the deployment.
    pub fn config(&self) -> Result<TelecomConfig, StartError> {
        Ok(TelecomConfig::from_env()?)
    }

    /// A publisher to the queues and the bus that the environment names.
    pub async fn publisher(&self) -> Publisher {
        Publisher::new(self.aws().await, MessagingConfig::from_env())
    }

    /// The judge of tokens.
    pub fn authenticator(&self) -> Result<Authenticator, StartError> {
        Ok(Authenticator::new(
            AuthConfig::from_env()?,
            self.context().clock,
        )?)
    }
}
