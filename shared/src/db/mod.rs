//! All SQL. Every statement is static, starts with its own name as a comment (so that it can be found in
//! `pg_stat_statements` and in logs) and is checked against the schema at compile time.

#![expect(clippy::as_conversions, reason = "`query!` writes the type of a parameter as a cast")]

use std::borrow::Cow;
use std::str::FromStr;
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use scopeguard::{ScopeGuard, guard};
use sqlx::migrate::Migrator;
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnection, PgPoolOptions};
use sqlx::{Executor, PgPool, Postgres};

use crate::config::DatabaseConfig;
use crate::deadline;
use crate::error::Error;

pub mod analysis;
pub mod billing;
pub mod credentials;
pub mod fleet;
pub mod maintenance;
pub mod node;
pub mod node_log;
pub mod node_status;
pub mod node_status_history;
pub mod outbox;
pub mod package_queue;
pub mod queued_package;
pub mod usage_report;
pub mod user_package_usage;

mod copy;
mod error;
mod factor;

/// The migrations, in `migrations/`.
pub static MIGRATOR: Migrator = sqlx::migrate!("../migrations");

/// A transaction under way.
pub type Transaction = sqlx::Transaction<'static, sqlx::Postgres>;
/// A connection, inside or outside a transaction.
pub type Connection = PgConnection;

const CONFLICT_RETRIES: usize = 5;

/// A statement ends when the client that waits for it is gone: a process that was killed, a call that was given up. The
/// database looks after half a second, and again.
const NOTICE_THE_CLIENTS_END: &str = "/* db.connect */ set client_connection_check_interval = '500ms'";

/// A pool that connects at its first use, not here.
///
/// A frozen function reaps nothing and is told of nothing: connections are pinged before use, but only after
/// they stood idle for long enough to have been cut.
#[must_use]
pub fn connect(config: &DatabaseConfig) -> PgPool {
    const PING_AFTER_IDLE: Duration = Duration::from_secs(30);
    let role: Option<&'static str> = config.role.map(Into::into);
    PgPoolOptions::new()
        .max_connections(config.max_connections)
        .min_connections(0)
        .acquire_timeout(Duration::from_secs(5))
        .test_before_acquire(false)
        .after_connect(move |connection, _| {
            Box::pin(async move {
                connection.execute(NOTICE_THE_CLIENTS_END).await?;
                if let Some(role) = role {
                    connection.execute(format!("/* db.connect */ set role {role}").as_str()).await?;
                }
                Ok(())
            })
        })
        .before_acquire(|connection, meta| {
            Box::pin(async move {
                if meta.idle_for > PING_AFTER_IDLE {
                    sqlx::Connection::ping(connection).await?;
                }
                Ok(true)
            })
        })
        .connect_lazy_with(config.connect.clone())
}

/// Runs a whole transaction again, a few times, when the database gave it up for another one (serialization
/// failure or deadlock); any other outcome is returned as it is.
pub async fn retry_conflicts<T, F, Fut>(name: &'static str, transaction: F) -> Result<T, Error>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<T, Error>>,
{
    let backoff = ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(20))
        .with_max_times(CONFLICT_RETRIES)
        .with_jitter();
    transaction
        .retry(backoff)
        .when(|error| error.code() == error::TRANSACTION_CONFLICT)
        .notify(|error, after| tracing::warn!(transaction = name, cause = error.cause(), ?after, "transaction retried"))
        .await
}

/// A transaction that reads, all of it from one moment. The database cancels its statement when the time of the
/// [deadline](crate::deadline) is over: what nobody waits for any more must not go on.
///
/// Nobody commits it: there is nothing to keep, and the rollback goes with the ping that the pool sends anyway.
pub async fn read(pool: &PgPool) -> Result<Transaction, Error> {
    begin(pool, "/* db.read */ begin isolation level repeatable read, read only").await
}

/// A transaction that writes for somebody who waits for it; bounded as [`read`] is.
pub async fn write(pool: &PgPool) -> Result<Transaction, Error> {
    begin(pool, "/* db.write */ begin").await
}

/// A connection for one statement that reads: of one moment by itself, it needs no transaction, which costs as much as a
/// short statement. Dropped before it is [released](release), when nobody waits for the answer any more, it is cut, and the
/// database ends the statement.
pub type Reader = ScopeGuard<PoolConnection<Postgres>, fn(PoolConnection<Postgres>)>;

/// A connection for one statement.
pub async fn reader(pool: &PgPool) -> Result<Reader, Error> {
    Ok(guard(pool.acquire().await?, |connection| drop(connection.detach())))
}

/// The answer is here: somebody else may have the connection.
pub fn release(reader: Reader) {
    drop(ScopeGuard::into_inner(reader));
}

/// Begins, and sets the limit, in one message: a number cannot be a parameter there.
async fn begin(pool: &PgPool, begin: &'static str) -> Result<Transaction, Error> {
    let Some(left) = deadline::left() else { return Ok(pool.begin_with(begin).await?) };
    // For this transaction alone: a proxy may give the connection to somebody else after it. 0 would mean no limit.
    let limit_ms = left.as_millis().max(1);
    Ok(pool.begin_with(format!("{begin}; set local statement_timeout = {limit_ms}")).await?)
}

/// One of the names that a column of an enumerated type may hold.
fn stored<T: FromStr>(name: &str) -> Result<T, Error> {
    name.parse().map_err(|_| Error::internal(format!("the database holds an unknown {name:?}")))
}

/// Brings the schema up to date, and who may do what in it. Migrations that it does not know are of newer code, which was
/// taken back: this code runs on their schema, and a way back must not end here.
///
/// The list of applied migrations is in `public`, said explicitly: a role of the schema's name would look for it in
/// the schema first, not find it there, and begin again.
pub async fn migrate(connection: &mut Connection) -> Result<(), Error> {
    sqlx::query!("/* migrate.search_path */ set search_path = public").execute(&mut *connection).await?;
    let mut migrator = Migrator { migrations: Cow::Borrowed(&MIGRATOR.migrations), ..Migrator::DEFAULT };
    migrator.set_ignore_missing(true).run_direct(connection).await.map_err(Error::internal)?;
    grant(connection).await
}

/// Makes the roles that functions act as, and lets them do what they need.
pub async fn grant(connection: &mut Connection) -> Result<(), Error> {
    connection.execute(sqlx::raw_sql(include_str!("roles.sql"))).await?;
    Ok(())
}

/// Takes the transaction's share of a job that may run only once at a time; `false`: another one is at it.
pub async fn try_job_lock(connection: &mut Connection, job: &'static str) -> Result<bool, Error> {
    let locked = sqlx::query_scalar!(
        r#"/* job.lock */ select pg_try_advisory_xact_lock(hashtextextended($1, 0)) as "locked!""#,
        job
    )
    .fetch_one(connection)
    .await?;
    Ok(locked)
}

/// `unnest` takes a column at a time: this turns rows into columns, each closure one column.
macro_rules! columns {
    ($rows:expr, $($field:expr),+ $(,)?) => { ($($rows.iter().map($field).collect::<Vec<_>>()),+) };
}
pub(crate) use columns;
