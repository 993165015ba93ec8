//! The database of the measurements, which exists for one run.

use std::str::FromStr;

use anyhow::{Context as _, Result, bail};
use serde::Serialize;
use shared::clock::Context;
use shared::config::DatabaseConfig;
use shared::db;
use shared::services::Processor;
use shared::services::cron::Run;
use shared::services::migrate::Migrate;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{Connection, PgExecutor, PgPool};
use url::Url;

use crate::cli::Cli;

/// A database on an existing server.
#[derive(Debug)]
pub struct Database {
    server: PgConnectOptions,
    name: String,
    /// URL of the database, for a function's `DATABASE_URL`.
    pub url: String,
}

/// Properties of server and machine that affect the results.
#[derive(Debug, Clone, Serialize)]
pub struct Environment {
    pub postgres: String,
    /// Whether a commit waits for the disk.
    pub durable: bool,
    /// Number of processors of this machine.
    pub cores: usize,
    /// Median time to insert and commit one row, in milliseconds.
    pub commit_ms: f64,
    /// Number of concurrent consumers per queue.
    pub consumers: u8,
}

impl Database {
    /// Creates the database with the current schema. A database that an aborted run left is
    /// replaced.
    ///
    /// Its name is the one of the command line, followed by `suffix`.
    pub async fn create(cli: &Cli, suffix: &str) -> Result<Self> {
        let (url, name) = (&cli.database_url, format!("{}{suffix}", cli.database));
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        if name.is_empty() || !name.chars().all(allowed) {
            bail!("Invalid database name {name:?}; allowed characters: a-z, 0-9, _.");
        }
        let server =
            PgConnectOptions::from_str(url).context("DATABASE_URL is not a postgres:// URL.")?;
        let database = Self {
            url: with_database(url, &name)?,
            server,
            name,
        };
        database.drop().await?;
        let create = format!("create database {}", database.name);
        run(&mut database.connect_server().await?, &create)
            .await
            .context("The role of DATABASE_URL must be allowed to create databases.")?;
        Migrate::new(database.pool(1), Context::system())
            .process(Run::within(None))
            .await
            .map_err(fault)?;
        if let Some(change) = &cli.change_schema {
            run(&mut database.connect().await?, change).await?;
        }
        Ok(database)
    }

    async fn connect_server(&self) -> Result<PgConnection> {
        PgConnection::connect_with(&self.server)
            .await
            .context("Cannot connect to the database server of DATABASE_URL.")
    }

    /// A pool with a function's configuration.
    pub fn pool(&self, max_connections: u32) -> PgPool {
        let connect = self.server.clone().database(&self.name);
        db::connect(&DatabaseConfig::new(connect, max_connections))
    }

    /// A connection for the benchmark itself.
    pub async fn connect(&self) -> Result<PgConnection> {
        let options = self.server.clone().database(&self.name);
        PgConnection::connect_with(&options)
            .await
            .context("Cannot connect to the benchmark's database.")
    }

    pub async fn environment(&self, consumers: u8) -> Result<Environment> {
        let mut connection = self.connect().await?;
        let postgres: String = sqlx::query_scalar("show server_version")
            .fetch_one(&mut connection)
            .await?;
        let durable: bool = sqlx::query_scalar(
            "select current_setting('fsync')::bool \
             and current_setting('synchronous_commit') <> 'off'",
        )
        .fetch_one(&mut connection)
        .await?;
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Ok(Environment {
            postgres,
            durable,
            cores,
            commit_ms: commit_ms(&mut connection).await?,
            consumers,
        })
    }

    pub async fn drop(&self) -> Result<()> {
        let drop = format!("drop database if exists {} with (force)", self.name);
        run(&mut self.connect_server().await?, &drop).await
    }
}

/// Runs statements that are composed of this program's own constants.
pub async fn run(connection: &mut PgConnection, statement: &str) -> Result<()> {
    sqlx::raw_sql(statement)
        .execute(connection)
        .await
        .with_context(|| format!("This failed: {statement}"))?;
    Ok(())
}

/// Runs statements that are separated by semicolons, each in a transaction of its own.
pub async fn run_all(connection: &mut PgConnection, statements: &str) -> Result<()> {
    for statement in statements.split(';') {
        run(connection, statement).await?;
    }
    Ok(())
}

/// Runs a checkpoint, so that each measurement starts under the same conditions: there are no dirty
/// pages, the first change of each page is logged in full, and the statistics of the connection are
/// up to date.
pub async fn checkpoint(connection: &mut PgConnection) -> Result<()> {
    run(connection, "checkpoint")
        .await
        .context("The role must be a superuser or have pg_checkpoint.")?;
    flush_statistics(connection).await
}

/// Adds what a connection has done to the statistics of the server. Otherwise a connection does so
/// at most once per second, and up to ten seconds after it became idle.
pub async fn flush_statistics(connection: impl PgExecutor<'_>) -> Result<()> {
    sqlx::query("select pg_stat_force_next_flush()")
        .execute(connection)
        .await?;
    Ok(())
}

/// Converts an error of the system under test, including its causes.
#[expect(clippy::needless_pass_by_value, reason = "an argument of map_err")]
pub fn fault(error: shared::error::Error) -> anyhow::Error {
    anyhow::anyhow!("{error}: {}", error.cause())
}

/// Replaces the database in a URL.
fn with_database(url: &str, name: &str) -> Result<String> {
    let mut url = Url::parse(url)?;
    url.set_path(name);
    Ok(url.into())
}

async fn commit_ms(connection: &mut PgConnection) -> Result<f64> {
    run(connection, "create table commit_probe (n bigint)").await?;
    let mut times = Vec::new();
    for n in 0..100_i64 {
        let began = std::time::Instant::now();
        sqlx::query("insert into commit_probe values ($1)")
            .bind(n)
            .execute(&mut *connection)
            .await?;
        times.push(began.elapsed().as_secs_f64() * 1e3);
    }
    times.sort_by(f64::total_cmp);
    run(connection, "drop table commit_probe").await?;
    Ok(times.get(times.len() / 2).copied().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_keeps_its_server_role_and_options() {
        assert_eq!(
            with_database("postgres://u:p@h:5/a?sslmode=disable", "b").unwrap(),
            "postgres://u:p@h:5/b?sslmode=disable"
        );
        assert_eq!(
            with_database("postgres://u@h", "b").unwrap(),
            "postgres://u@h/b"
        );
    }
}
