//! Configuration from environment variables, with one struct per concern. Every error names the
//! variable and the accepted values.

use std::env;
use std::str::FromStr;
use std::time::Duration;

use http::HeaderValue;
use jsonwebtoken::jwk::JwkSet;
use sqlx::postgres::PgConnectOptions;
use strum::{EnumString, IntoStaticStr};
use url::Url;

use crate::auth;
use crate::domain::line_rate::LineRate;
use crate::domain::server_status::OfflinePolicy;

/// A variable that is missing or invalid.
#[derive(Debug, thiserror::Error)]
#[error("environment variable {name}: {problem}")]
pub struct ConfigError {
    name: &'static str,
    problem: String,
}

/// An error about the variable `name`.
pub fn invalid(name: &'static str, problem: impl Into<String>) -> ConfigError {
    ConfigError {
        name,
        problem: problem.into(),
    }
}

/// The value of a variable. `None` if it is not set or empty.
#[must_use]
pub fn optional(name: &'static str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

fn required(name: &'static str) -> Result<String, ConfigError> {
    optional(name).ok_or_else(|| invalid(name, "is not set"))
}

/// Parses a variable. `accepted` describes its values in an error: "is not a whole number".
pub fn parsed<T: FromStr>(
    name: &'static str,
    accepted: &str,
    default: T,
) -> Result<T, ConfigError> {
    match optional(name) {
        None => Ok(default),
        Some(value) => value
            .parse()
            .map_err(|_| invalid(name, format!("{value:?} is not {accepted}"))),
    }
}

/// Parses a variable that must be a positive number.
pub fn positive<T: FromStr + PartialOrd + Default>(
    name: &'static str,
    accepted: &str,
    default: T,
) -> Result<T, ConfigError> {
    let number = parsed(name, accepted, default)?;
    if number > T::default() {
        Ok(number)
    } else {
        Err(invalid(name, format!("is not {accepted} of at least 1")))
    }
}

/// Parses a variable that is a whole number of seconds.
pub fn seconds(name: &'static str, default: u64) -> Result<Duration, ConfigError> {
    parsed(name, "a whole number of seconds", default).map(Duration::from_secs)
}

fn flag(name: &'static str, default: bool) -> Result<bool, ConfigError> {
    parsed(name, "true or false", default)
}

fn days(name: &'static str, default: i32, least: i32) -> Result<i32, ConfigError> {
    let days = parsed(name, "a whole number of days", default)?;
    if days < least {
        return Err(invalid(
            name,
            format!("{days} days is too short; the minimum is {least}"),
        ));
    }
    Ok(days)
}

/// Settings of the database connections.
#[derive(Debug, Clone)]
pub struct DatabaseConfig {
    /// `DATABASE_URL`: address and options of the database.
    pub connect: PgConnectOptions,
    /// `DATABASE_MAX_CONNECTIONS`, at least 1: maximum size of the pool. Default: 1 in a function,
    /// which runs one invocation at a time.
    pub max_connections: u32,
    /// `DATABASE_AUTH`: how a connection logs in.
    pub login: DatabaseLogin,
    /// `DATABASE_ROLE`: the role that a connection assumes after its login. `None` keeps the role
    /// of the login.
    pub role: Option<DatabaseRole>,
}

/// How a connection logs in: `DATABASE_AUTH`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DatabaseLogin {
    /// Not set: with the credentials in `DATABASE_URL`.
    Url,
    /// `iam`: with an IAM token for the user in `DATABASE_URL`, which is valid for 15 minutes.
    Iam,
    /// `secret`: with the Secrets Manager secret whose ARN is `DATABASE_SECRET_ARN`. It has the
    /// fields `username` and `password`, as RDS writes them.
    Secret(String),
}

/// A database role created by `migrate`. `db/roles.sql` defines its privileges.
#[derive(Debug, Clone, Copy, PartialEq, Eq, IntoStaticStr, EnumString)]
pub enum DatabaseRole {
    /// Reads everything except the configurations of servers and clients.
    #[strum(serialize = "telecom_reader")]
    Reader,
    /// Reads everything, including the configurations of servers and clients.
    #[strum(serialize = "telecom_secret_reader")]
    SecretReader,
    /// Reads, and writes the tables of consumers and jobs.
    #[strum(serialize = "telecom_writer")]
    Writer,
    /// Reads and writes the tables behind the gRPC server.
    #[strum(serialize = "telecom_api")]
    Api,
}

impl DatabaseConfig {
    /// A configuration that logs in with the credentials in `connect`.
    #[must_use]
    pub fn new(connect: PgConnectOptions, max_connections: u32) -> Self {
        Self {
            connect,
            max_connections,
            login: DatabaseLogin::Url,
            role: None,
        }
    }

    /// Reads the variables. `max_connections` is the default of `DATABASE_MAX_CONNECTIONS`.
    pub fn from_env(max_connections: u32) -> Result<Self, ConfigError> {
        let url = required("DATABASE_URL")?;
        // The error does not contain the URL, because the URL may contain a password.
        let connect = PgConnectOptions::from_str(&url).map_err(|_| {
            invalid(
                "DATABASE_URL",
                "is not a URL such as postgres://user@host:5432/name",
            )
        })?;
        let max_connections = positive(
            "DATABASE_MAX_CONNECTIONS",
            "a whole number",
            max_connections,
        )?;
        let role = optional("DATABASE_ROLE").map(|name| {
            name.parse().map_err(|_| {
                invalid(
                    "DATABASE_ROLE",
                    format!("{name:?} is not a role of this database; see docs/DEPLOY.md"),
                )
            })
        });
        Ok(Self {
            connect,
            max_connections,
            login: DatabaseLogin::from_env()?,
            role: role.transpose()?,
        })
    }
}

impl DatabaseLogin {
    fn from_env() -> Result<Self, ConfigError> {
        match optional("DATABASE_AUTH").as_deref() {
            None => Ok(Self::Url),
            Some("iam") => Ok(Self::Iam),
            Some("secret") => required("DATABASE_SECRET_ARN").map(Self::Secret),
            Some(other) => Err(invalid(
                "DATABASE_AUTH",
                format!("{other:?} is not \"iam\", \"secret\" or empty"),
            )),
        }
    }
}

/// Destinations of outgoing events. A function has only the destinations that it may write to. The
/// sweep has all of them.
#[derive(Debug, Clone, Default)]
pub struct MessagingConfig {
    /// `TELECOM_USER_USAGE_BILLING_QUEUE_URL`: queue of the route `telecom.user_usage_billing`.
    pub user_usage_billing_queue_url: Option<String>,
    /// `TELECOM_PACKAGE_EXPIRING_QUEUE_URL`: queue of the route `telecom.package_expiring`.
    pub package_expiring_queue_url: Option<String>,
    /// `TELECOM_EVENT_BUS_NAME`: event bus for facts.
    pub event_bus_name: Option<String>,
}

impl MessagingConfig {
    /// Reads the variables, each of which is optional.
    #[must_use]
    pub fn from_env() -> Self {
        Self {
            user_usage_billing_queue_url: optional("TELECOM_USER_USAGE_BILLING_QUEUE_URL"),
            package_expiring_queue_url: optional("TELECOM_PACKAGE_EXPIRING_QUEUE_URL"),
            event_bus_name: optional("TELECOM_EVENT_BUS_NAME"),
        }
    }
}

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
            (Some(set), None) => auth::read_set(&set).map(Self::Inline).map_err(|error| {
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

    /// Reads the variables.
    pub fn from_env() -> Result<Self, ConfigError> {
        const LIFETIME: &str = "TELECOM_AUTH_MAX_TOKEN_LIFETIME_SECONDS";
        let (issuer, audience) = (
            required("TELECOM_AUTH_ISSUER")?,
            required("TELECOM_AUTH_AUDIENCE")?,
        );
        let max_lifetime = positive(
            LIFETIME,
            "a whole number of seconds",
            Self::MAX_LIFETIME.as_secs(),
        )?;
        Ok(Self {
            issuer,
            audience,
            jwks: JwksConfig::from_env()?,
            max_lifetime: Duration::from_secs(max_lifetime),
        })
    }
}

/// Web pages that may call the API.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CorsConfig {
    /// `TELECOM_CORS_ALLOWED_ORIGINS`: comma-separated origins such as `https://app.example.com`,
    /// or `*` for all. Default: none.
    pub allowed_origins: Vec<HeaderValue>,
}

impl CorsConfig {
    /// Reads the variable.
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

const OFFLINE_TIMEOUT: &str = "TELECOM_NODE_OFFLINE_TIMEOUT_SECONDS";

fn offline_policy() -> Result<OfflinePolicy, ConfigError> {
    let default = OfflinePolicy::default().offline_timeout.num_seconds();
    offline_policy_of(parsed(
        OFFLINE_TIMEOUT,
        "a whole number of seconds",
        default,
    )?)
}

fn offline_policy_of(seconds: i64) -> Result<OfflinePolicy, ConfigError> {
    OfflinePolicy::new(seconds).ok_or_else(|| {
        let (least, most) = OfflinePolicy::TIMEOUT_SECONDS.into_inner();
        let problem = format!("{seconds} seconds is not within {least} to {most}");
        invalid(OFFLINE_TIMEOUT, problem)
    })
}

fn line_rate() -> Result<LineRate, ConfigError> {
    const NAME: &str = "TELECOM_NODE_LINE_RATE_MBIT_PER_SECOND";
    let accepted = format!("{:?}", LineRate::MBIT_PER_SECOND);
    let mbit_per_second = parsed(
        NAME,
        "a whole number",
        LineRate::default().mbit_per_second(),
    )?;
    LineRate::new(mbit_per_second)
        .ok_or_else(|| invalid(NAME, format!("{mbit_per_second} is not within {accepted}")))
}

/// Retention of rows, in days.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// `TELECOM_TRAFFIC_USAGE_RETENTION_DAYS` (default 45): raw usage rows, after billing.
    pub traffic_usage_days: i32,
    /// `TELECOM_DEDUP_RETENTION_DAYS` (default 45, at least 36): ids of reports and batches. A
    /// report is accepted for [35 days](crate::events::usage_report::MAX_AGE_DAYS), and its id must
    /// be kept for longer than that.
    pub dedup_days: i32,
    /// `TELECOM_USAGE_RETENTION_DAYS` (default 400, at least 31): hourly usage of users.
    pub usage_days: i32,
    /// `TELECOM_NODE_STATUS_RETENTION_DAYS` (default 400, at least 93): hourly status of servers
    /// and the status log.
    pub node_status_days: i32,
}

/// Settings of this deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TelecomConfig {
    /// `TELECOM_NODE_OFFLINE_TIMEOUT_SECONDS` (default 300, 120 to 86400): a server that sends no
    /// report for longer is offline.
    pub node_health_check: OfflinePolicy,
    /// How long rows are kept.
    pub retention: Retention,
    /// `TELECOM_REQUIRE_EVENT_ID` (`true` or `false`, default `false`): whether billing events
    /// without an `event_id` are rejected. Otherwise, the message id of the queue replaces it,
    /// which changes after a redrive from the dead-letter queue.
    pub require_event_id: bool,
    /// `TELECOM_NODE_LINE_RATE_MBIT_PER_SECOND` (default 100000, 1 to 100000000): line rate of the
    /// fastest node server. A report of more traffic than this rate allows is quarantined.
    pub node_line_rate: LineRate,
}

impl Default for TelecomConfig {
    fn default() -> Self {
        Self {
            node_health_check: OfflinePolicy::default(),
            retention: Retention {
                traffic_usage_days: 45,
                dedup_days: 45,
                usage_days: 400,
                node_status_days: 400,
            },
            require_event_id: false,
            node_line_rate: LineRate::default(),
        }
    }
}

impl TelecomConfig {
    /// Reads the variables.
    pub fn from_env() -> Result<Self, ConfigError> {
        let default = Self::default();
        Ok(Self {
            node_health_check: offline_policy()?,
            retention: Retention {
                traffic_usage_days: days(
                    "TELECOM_TRAFFIC_USAGE_RETENTION_DAYS",
                    default.retention.traffic_usage_days,
                    1,
                )?,
                dedup_days: days(
                    "TELECOM_DEDUP_RETENTION_DAYS",
                    default.retention.dedup_days,
                    36,
                )?,
                usage_days: days(
                    "TELECOM_USAGE_RETENTION_DAYS",
                    default.retention.usage_days,
                    31,
                )?,
                node_status_days: days(
                    "TELECOM_NODE_STATUS_RETENTION_DAYS",
                    default.retention.node_status_days,
                    93,
                )?,
            },
            require_event_id: flag("TELECOM_REQUIRE_EVENT_ID", default.require_event_id)?,
            node_line_rate: line_rate()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::the_shortest(120)]
    #[case::the_default(300)]
    #[case::the_longest(86_400)]
    fn offline_timeouts_of_two_minutes_to_a_day_are_accepted(#[case] seconds: i64) {
        let accepted = offline_policy_of(seconds).unwrap();
        assert_eq!(accepted.offline_timeout.num_seconds(), seconds);
    }

    #[rstest]
    #[case::zero(0)]
    #[case::shorter_than_two_reports(119)]
    #[case::longer_than_a_day(86_401)]
    #[case::longer_than_a_clock_knows(i64::MAX)]
    fn other_offline_timeouts_are_refused_with_the_accepted_range(#[case] seconds: i64) {
        let expected = format!(
            "environment variable TELECOM_NODE_OFFLINE_TIMEOUT_SECONDS: {seconds} seconds is not \
             within 120 to 86400"
        );
        let refusal = offline_policy_of(seconds).unwrap_err().to_string();
        assert_eq!(refusal, expected);
    }
}
