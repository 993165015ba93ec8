//! All SQL of the project. Every statement is static and is checked against the schema at compile
//! time. It starts with its own name as a comment, so that it can be found in `pg_stat_statements`
//! and in logs.

#![expect(
    clippy::as_conversions,
    reason = "`query!` writes the type of a parameter as a cast"
)]

use std::borrow::Cow;
use std::str::FromStr;
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use scopeguard::{ScopeGuard, guard};
use sqlx::migrate::Migrator;
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnection, PgPoolOptions};
use sqlx::{Connection as _, Executor, PgPool, Postgres};
use tracing::Instrument;

use crate::config::DatabaseConfig;
use crate::deadline;
use crate::error::Error;

pub mod accepted_usage;
pub mod analysis;
pub mod answered_call;
pub mod audit;
pub mod billing;
pub mod credentials;
pub mod dead_letter;
pub mod doubtful_push;
pub mod expiry_notice;
pub mod fleet;
pub mod fleet_metrics;
pub mod job_run;
pub mod maintenance;
pub mod node;
pub mod node_access;
pub mod node_client;
pub mod node_metrics;
pub mod node_push;
pub mod node_server;
pub mod node_status_history;
pub mod node_status_transition;
pub mod node_status_watch;
pub mod node_usage;
pub mod node_user;
pub mod online_address;
pub mod outbox;
pub mod overview;
pub mod package;
pub mod package_extension;
pub mod package_item;
pub mod package_order;
pub mod package_queue;
pub mod parked_event;
pub mod quarantine;
pub mod quarantined_report;
pub mod queued_package;
pub mod reconciliation;
pub mod report_sender;
pub mod top_user;
pub mod traffic_usage;
pub mod usage_correction;
pub mod usage_drift;
pub mod usage_explanation;
pub mod usage_report;
pub mod user_list;
pub mod user_package_usage;
pub mod user_usage;
pub mod webhook;
pub mod webhook_delivery;

mod copy;
mod error;
mod factor;
mod statement;

use statement::statements;

/// The migrations in `migrations/`.
pub static MIGRATOR: Migrator = sqlx::migrate!("../migrations");

/// A connection, inside or outside a transaction.
pub type Connection = PgConnection;

type Transaction<'c> = sqlx::Transaction<'c, Postgres>;

const CONFLICT_RETRIES: usize = 5;

/// Settings of every connection, whatever the defaults of the database. They end a statement whose
/// client is gone (a killed process, an abandoned call): the database checks twice a second. They
/// limit the wait for a lock to less than a delivery can afford, because a row that is locked by
/// hand must not stall the users of all other rows. They end a transaction whose client is idle, so
/// that it releases its locks.
const CONNECTION_LIMITS: &str = "/* db.connect */ set client_connection_check_interval = '500ms'; \
     /* db.connect */ set lock_timeout = '5s'; \
     /* db.connect */ set idle_in_transaction_session_timeout = '60s'";

/// Creates a pool that connects at its first use.
///
/// While a function is frozen, its pool neither closes idle connections nor notices closed ones.
/// Connections are therefore pinged before use, but only if they were idle long enough to have been
/// cut.
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
                let role = role
                    .map(|role| format!("; /* db.connect */ set role {role}"))
                    .unwrap_or_default();
                connection
                    .execute(format!("{CONNECTION_LIMITS}{role}").as_str())
                    .await?;
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

/// A connection on loan from the pool. If it is dropped before it is [returned](Loan::give_back),
/// it is closed.
///
/// A future that owns a connection may be dropped at any `await`, because its deadline passed or
/// its caller cancelled it. In the middle of `BEGIN`, of a statement or of `COMMIT`, the state of
/// the connection is unknown. Back in the pool, it could give its next user an old snapshot or
/// another user's settings (sqlx's own transactions do that when they are dropped within `BEGIN`).
/// The database notices a closed connection and ends its transaction.
struct Loan(ScopeGuard<PoolConnection<Postgres>, fn(PoolConnection<Postgres>)>);

impl Loan {
    async fn from(pool: &PgPool) -> Result<Self, Error> {
        Ok(Self(guard(pool.acquire().await?, |connection| {
            drop(connection.detach());
        })))
    }

    /// Returns the connection to the pool. It must not be in a transaction.
    fn give_back(self) {
        drop(ScopeGuard::into_inner(self.0));
    }
}

/// Runs work that needs no transaction: a single statement that reads, which sees one snapshot by
/// itself, or independent statements. An explicit transaction would cost as much as a short
/// statement.
pub async fn on_connection<T>(
    pool: &PgPool,
    work: impl AsyncFnOnce(&mut Connection) -> Result<T, Error>,
) -> Result<T, Error> {
    let span = tracing::debug_span!("on_connection");
    async {
        let mut loan = Loan::from(pool).await?;
        let result = work(&mut loan.0).await;
        loan.give_back();
        result
    }
    .instrument(span)
    .await
}

/// Runs several statements that read and see the same snapshot. The database cancels a statement
/// when the [deadline] has passed.
///
/// A statement is planned once per connection, for any parameters. By default, PostgreSQL plans a
/// statement anew for each call if it believes that a plan for the given parameters costs less. It
/// believes so of pages, because it assumes a tenth of all rows for an unknown limit. Planning them
/// took several times as long as reading them.
///
/// The transaction is not committed, because there is nothing to keep. The rollback is sent with
/// the pool's ping.
pub async fn read_tx<T>(
    pool: &PgPool,
    work: impl AsyncFnOnce(&mut Connection) -> Result<T, Error>,
) -> Result<T, Error> {
    const BEGIN: &str = "/* db.read_tx */ begin isolation level repeatable read, read only; \
                         set local plan_cache_mode = force_generic_plan";
    let span = tracing::debug_span!("read_tx");
    async {
        let mut loan = Loan::from(pool).await?;
        let mut tx = begin(&mut loan.0, BEGIN).await?;
        let result = work(&mut tx).await;
        drop(tx);
        loan.give_back();
        result
    }
    .instrument(span)
    .await
}

/// Runs a transaction that writes, and commits it if `work` succeeds. If the database aborts it in
/// favour of another transaction (serialization failure, deadlock), it is retried up to
/// `CONFLICT_RETRIES` times, and each retry is logged with `name`.
pub async fn write_tx<T>(
    pool: &PgPool,
    name: &'static str,
    work: impl AsyncFnOnce(&mut Connection) -> Result<T, Error> + Clone,
) -> Result<T, Error> {
    let backoff = ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(20))
        .with_max_times(CONFLICT_RETRIES)
        .with_jitter();
    let span = || tracing::debug_span!("write_tx", transaction = name);
    (|| write_once(pool, work.clone()).instrument(span()))
        .retry(backoff)
        .when(Error::is_conflict)
        .notify(|error, after| {
            tracing::warn!(
                transaction = name,
                cause = error.cause(),
                ?after,
                "transaction retried"
            );
        })
        .await
}

async fn write_once<T>(
    pool: &PgPool,
    work: impl AsyncFnOnce(&mut Connection) -> Result<T, Error>,
) -> Result<T, Error> {
    let mut loan = Loan::from(pool).await?;
    let mut tx = begin(&mut loan.0, "/* db.write_tx */ begin").await?;
    let result = work(&mut tx).await;
    if result.is_ok() {
        tx.commit().await?;
    } else if tx.rollback().await.is_err() {
        // The state of the connection is unknown. Closing it makes the database roll back.
        return result;
    }
    loan.give_back();
    result
}

/// Runs a part of a transaction that may fail alone. If it fails, its writes are undone, and its
/// error is returned inside the result. An outer error means that the whole transaction is lost.
pub async fn try_to<T>(
    tx: &mut Connection,
    work: impl AsyncFnOnce(&mut Connection) -> Result<T, Error>,
) -> Result<Result<T, Error>, Error> {
    let mut part = tx.begin().await?;
    let result = work(&mut part).await;
    match &result {
        Ok(_) => part.commit().await?,
        Err(_) => part.rollback().await?,
    }
    Ok(result)
}

/// Shortens the lock timeout of this transaction, for a transaction that can continue without the
/// locked row.
pub async fn wait_briefly_for_locks(tx: &mut Connection) -> Result<(), Error> {
    tx.execute("/* db.wait_briefly_for_locks */ set local lock_timeout = '500ms'")
        .await?;
    Ok(())
}

/// Begins a transaction and sets its statement timeout in one message. The timeout is formatted
/// into the text because `set` accepts no parameters.
async fn begin<'c>(
    connection: &'c mut Connection,
    begin: &'static str,
) -> Result<Transaction<'c>, Error> {
    let Some(left) = deadline::left() else {
        return Ok(connection.begin_with(begin).await?);
    };
    // The timeout applies to this transaction only, because a proxy may give the connection to
    // another client afterwards. 0 would mean no limit.
    let limit_ms = left.as_millis().max(1);
    Ok(connection
        .begin_with(format!("{begin}; set local statement_timeout = {limit_ms}"))
        .await?)
}

/// Parses a value of a column of an enumerated type.
fn stored<T: FromStr>(name: &str) -> Result<T, Error> {
    name.parse()
        .map_err(|_| Error::internal(format!("unknown value {name:?} in the database")))
}

/// The fields of a configuration, which the database keeps to be an object.
fn object(config: serde_json::Value) -> Result<serde_json::Map<String, serde_json::Value>, Error> {
    serde_json::from_value(config).map_err(Error::internal)
}

/// Applies the migrations, then the privileges of the roles. Ignores applied migrations that this
/// version does not know. They belong to a newer version that was rolled back. This version runs on
/// their schema, and the rollback must not fail here.
///
/// The search path is set because the list of applied migrations is in `public`. For a role with
/// the schema's name, the migrator would look for the list in the schema first, not find it there,
/// and apply all migrations again.
pub async fn migrate(connection: &mut Connection) -> Result<(), Error> {
    sqlx::query!("/* migrate.search_path */ set search_path = public")
        .execute(&mut *connection)
        .await?;
    lock_migrations(connection).await?;
    let migrated = run_migrations(connection).await;
    sqlx::query_scalar!(
        r#"/* migrate.unlock */ select pg_advisory_unlock(hashtextextended('migrate',
        0)) as "unlocked!""#
    )
    .fetch_one(connection)
    .await?;
    migrated
}

async fn run_migrations(connection: &mut Connection) -> Result<(), Error> {
    drop_invalid_indexes(connection).await?;
    let mut migrator = Migrator {
        migrations: Cow::Borrowed(&MIGRATOR.migrations),
        ..Migrator::DEFAULT
    };
    migrator.set_ignore_missing(true);
    migrator.set_locking(false);
    migrator
        .run_direct(connection)
        .await
        .map_err(Error::internal)?;
    grant(connection).await
}

/// Waits for another migration of this database. The migrator's own lock is not used because it
/// waits within a statement. `create index concurrently` in the run that holds the lock waits for
/// the end of all statements, which would be a deadlock.
async fn lock_migrations(connection: &mut Connection) -> Result<(), Error> {
    const POLL: Duration = Duration::from_millis(500);
    const MAX_POLLS: usize = 1_800;
    for _ in 0..MAX_POLLS {
        let locked = sqlx::query_scalar!(
            r#"/* migrate.lock */ select pg_try_advisory_lock(hashtextextended('migrate',
            0)) as "locked!""#
        );
        if locked.fetch_one(&mut *connection).await? {
            return Ok(());
        }
        tokio::time::sleep(POLL).await;
    }
    Err(Error::unavailable(
        "timed out while waiting for another migration",
    ))
}

/// Drops invalid indexes that a failed or killed `create index concurrently` left. No query uses
/// such an index, each write maintains it, and a repeat of the migration would find its name taken.
/// An index that is being built is kept.
async fn drop_invalid_indexes(connection: &mut Connection) -> Result<(), Error> {
    let names = sqlx::query_scalar!(
        r#"/* migrate.invalid_indexes */
        select format('%I.%I', n.nspname, c.relname) as "name!"
        from pg_index i
        join pg_class c on c.oid = i.indexrelid
        join pg_namespace n on n.oid = c.relnamespace
        where n.nspname = 'telecom' and c.relkind = 'i' and not i.indisvalid
            and not exists (select from pg_stat_progress_create_index p
            where p.index_relid = i.indexrelid)"#
    )
    .fetch_all(&mut *connection)
    .await?;
    for name in names {
        tracing::warn!(name, "dropping an index whose build did not complete");
        connection
            .execute(format!("/* migrate.drop_index */ drop index concurrently {name}").as_str())
            .await?;
    }
    Ok(())
}

/// Creates the roles that functions act as, and grants them the privileges they need.
pub async fn grant(connection: &mut Connection) -> Result<(), Error> {
    connection
        .execute(sqlx::raw_sql(include_str!("roles.sql")))
        .await?;
    Ok(())
}

statements! {
    /// Locks a job that must run only once at a time, until the transaction ends. Returns `false`
    /// if another run holds the lock.
    pub fn try_job_lock(job: &'static str) -> Value<bool> {
        r#"/* job.lock */ select pg_try_advisory_xact_lock(hashtextextended($1, 0)) as "locked!""#
    }
}

/// Builds a struct from a row. Columns with the names of fields come first, then other fields with
/// their values.
macro_rules! from_row {
    ($row:ident => $struct:ident { $($column:ident),* $(; $($field:ident: $value:expr),*)? }) => {
        $struct { $($column: $row.$column,)* $($($field: $value),*)? }
    };
}
use from_row;

/// Reads one field of all rows, as `unnest` expects it.
fn column<'r, R, T>(rows: &'r [R], field: impl Fn(&'r R) -> T) -> Vec<T> {
    rows.iter().map(field).collect()
}
