//! Configuration from environment variables, with one struct per concern. Every error names the
//! variable and the accepted values.

mod auth;
mod cors;
mod database;
mod messaging;
mod rate_limit;
mod telecom;
mod webhook;

use std::env;
use std::str::FromStr;
use std::time::Duration;

pub use auth::{AuthConfig, JwksConfig, parse_key_set};
pub use cors::CorsConfig;
pub use database::{DatabaseConfig, DatabaseLogin, DatabaseRole};
pub use messaging::MessagingConfig;
pub use rate_limit::RateLimitConfig;
pub use telecom::{Retention, TelecomConfig};
pub use webhook::{WebhookConfig, WebhookKeyLocation};

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

/// The value of a variable that must be set.
pub fn required(name: &'static str) -> Result<String, ConfigError> {
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

/// Reads a whole number of seconds of at least 1.
pub fn positive_seconds(name: &'static str, default: u64) -> Result<Duration, ConfigError> {
    positive(name, "a whole number of seconds", default).map(Duration::from_secs)
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
