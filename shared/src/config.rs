//! Configuration from the environment, a struct a concern; every error names the variable and what it takes.

use std::env;
use std::str::FromStr;
use std::time::Duration;

use jsonwebtoken::jwk::JwkSet;
use sqlx::postgres::PgConnectOptions;

/// A variable that is missing or cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("environment variable {name}: {problem}")]
pub struct ConfigError {
    name: &'static str,
    problem: String,
}

fn invalid(name: &'static str, problem: impl Into<String>) -> ConfigError {
    ConfigError { name, problem: problem.into() }
}

fn required(name: &'static str) -> Result<String, ConfigError> {
    env::var(name).ok().filter(|value| !value.is_empty()).ok_or_else(|| invalid(name, "is not set"))
}

fn parsed<T: FromStr>(name: &'static str, accepted: &str, default: T) -> Result<T, ConfigError> {
    match env::var(name).ok().filter(|value| !value.is_empty()) {
        None => Ok(default),
        Some(value) => value.parse().map_err(|_| invalid(name, format!("{value:?} is not {accepted}"))),
    }
}

fn seconds(name: &'static str, default: u64) -> Result<Duration, ConfigError> {
    parsed(name, "a whole number of seconds", default).map(Duration::from_secs)
}

fn days(name: &'static str, default: i32, least: i32) -> Result<i32, ConfigError> {
    let days = parsed(name, "a whole number of days", default)?;
    if days < least {
        return Err(invalid(name, format!("{days} days is too short: at least {least}")));
    }
    Ok(days)
}

/// Where the database is. `DATABASE_URL`, and `DATABASE_MAX_CONNECTIONS` (default 1: a Lambda runs one
/// invocation at a time).
#[derive(Debug, Clone)]
pub struct DatabaseConfig {
    /// How to connect.
    pub connect: PgConnectOptions,
    /// Upper bound of the pool.
    pub max_connections: u32,
}

impl DatabaseConfig {
    /// Reads the variables.
    pub fn from_env() -> Result<Self, ConfigError> {
        let url = required("DATABASE_URL")?;
        // The URL may hold a password: it is never repeated in the error.
        let connect = PgConnectOptions::from_str(&url)
            .map_err(|_| invalid("DATABASE_URL", "is not a URL such as postgres://user@host:5432/name"))?;
        Ok(Self { connect, max_connections: parsed("DATABASE_MAX_CONNECTIONS", "a whole number", 1)? })
    }
}

/// Where events leave to. A function has only the destinations that it may write to; the sweep has all.
#[derive(Debug, Clone, Default)]
pub struct MessagingConfig {
    /// `TELECOM_USER_USAGE_BILLING_QUEUE_URL`: the route `telecom.user_usage_billing`.
    pub user_usage_billing_queue_url: Option<String>,
    /// `TELECOM_PACKAGE_EXPIRING_QUEUE_URL`: the route `telecom.package_expiring`.
    pub package_expiring_queue_url: Option<String>,
    /// `TELECOM_EVENT_BUS_NAME`: the bus for facts.
    pub event_bus_name: Option<String>,
}

impl MessagingConfig {
    /// Reads the variables; each may be absent.
    #[must_use]
    pub fn from_env() -> Self {
        let optional = |name| env::var(name).ok().filter(|value| !value.is_empty());
        Self {
            user_usage_billing_queue_url: optional("TELECOM_USER_USAGE_BILLING_QUEUE_URL"),
            package_expiring_queue_url: optional("TELECOM_PACKAGE_EXPIRING_QUEUE_URL"),
            event_bus_name: optional("TELECOM_EVENT_BUS_NAME"),
        }
    }
}

/// Whose tokens are believed.
#[derive(Debug, Clone)]
pub struct AuthConfig {
    /// `TELECOM_AUTH_ISSUER`: the only accepted `iss`.
    pub issuer: String,
    /// `TELECOM_AUTH_AUDIENCE`: must be among the token's `aud`.
    pub audience: String,
    /// `TELECOM_AUTH_JWKS`: the issuer's public keys, as a JSON Web Key Set.
    pub jwks: JwkSet,
}

impl AuthConfig {
    /// Reads the variables.
    pub fn from_env() -> Result<Self, ConfigError> {
        let jwks = serde_json::from_str(&required("TELECOM_AUTH_JWKS")?)
            .map_err(|error| invalid("TELECOM_AUTH_JWKS", format!("is not a JSON Web Key Set: {error}")))?;
        Ok(Self { issuer: required("TELECOM_AUTH_ISSUER")?, audience: required("TELECOM_AUTH_AUDIENCE")?, jwks })
    }
}

/// When a server counts as offline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NodeHealthCheck {
    /// `TELECOM_NODE_OFFLINE_TIMEOUT_SECONDS` (default 300): silence after which a server is offline.
    pub offline_timeout: Duration,
}

/// How long rows are kept, in days.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// `TELECOM_TRAFFIC_USAGE_RETENTION_DAYS` (default 45): raw rows, once billed.
    pub traffic_usage_days: i32,
    /// `TELECOM_DEDUP_RETENTION_DAYS` (default 45, at least 36): report and batch ids. A report is accepted for
    /// [35 days](crate::events::usage_report::MAX_AGE_DAYS); its id must be remembered longer than that.
    pub dedup_days: i32,
}

/// The rules of this deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TelecomConfig {
    /// When a server counts as offline.
    pub node_health_check: NodeHealthCheck,
    /// How long rows are kept.
    pub retention: Retention,
}

impl Default for TelecomConfig {
    fn default() -> Self {
        Self {
            node_health_check: NodeHealthCheck { offline_timeout: Duration::from_mins(5) },
            retention: Retention { traffic_usage_days: 45, dedup_days: 45 },
        }
    }
}

impl TelecomConfig {
    /// Reads the variables.
    pub fn from_env() -> Result<Self, ConfigError> {
        let default = Self::default();
        Ok(Self {
            node_health_check: NodeHealthCheck {
                offline_timeout: seconds(
                    "TELECOM_NODE_OFFLINE_TIMEOUT_SECONDS",
                    default.node_health_check.offline_timeout.as_secs(),
                )?,
            },
            retention: Retention {
                traffic_usage_days: days(
                    "TELECOM_TRAFFIC_USAGE_RETENTION_DAYS",
                    default.retention.traffic_usage_days,
                    1,
                )?,
                dedup_days: days("TELECOM_DEDUP_RETENTION_DAYS", default.retention.dedup_days, 36)?,
            },
        })
    }
}
