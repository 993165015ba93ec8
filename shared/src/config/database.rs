//! Database connections.

use std::str::FromStr;

use sqlx::postgres::PgConnectOptions;
use strum::{EnumString, IntoStaticStr};

use super::{ConfigError, invalid, optional, positive, required};

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
    /// Reads everything, and writes what node software reports beside usage.
    #[strum(serialize = "telecom_node")]
    Node,
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
