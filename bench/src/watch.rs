//! Monitoring a fleet of 1,000 servers: the cost of a minute of heartbeats, and of refreshing the
//! view of the servers' status after two days and after two years.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use serde_json::json;
use shared::clock::{Clock, Context, Fixed, System};
use shared::config::TelecomConfig;
use shared::services::Processor;
use shared::services::cron::refresh_node_status_view::RefreshNodeStatusViewJob;
use shared::services::cron::{Run, TelecomCronExecutor};
use shared::services::queue::ingest_usage_report::IngestUsageReports;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::database::{Database, checkpoint, fault, run, run_all};
use crate::messaging::Messaging;
use crate::pipeline::consume;
use crate::progress::step;
use crate::results::{Bar, Limit};
use crate::workload::deliveries;

const SERVERS: i64 = 1_000;
const MINUTES: i64 = 60;
const REPORTS_PER_DELIVERY: usize = 100;
const DAYS_FEW: i64 = 2;
const DAYS_MANY: i64 = 730;
/// Longer than the measured history. With the default of 400, the job would delete half of it.
const RETENTION_DAYS: i32 = 760;
/// Refreshes of each history, in turn. The speed of a machine changes within seconds, and by more
/// than the difference to be found.
const ROUNDS: usize = 15;

/// Share of the heartbeat table's updates that are heap-only.
const HOT_SHARE: Limit = Limit::Above(0.95);
/// A refresh after years, as a multiple of a refresh after days.
const GROWTH: Limit = Limit::AtMost(1.2);
/// The longest wait of a concurrent reader, as a multiple of the refresh. A reader that is locked
/// out waits almost as long as the refresh.
const WAIT: Limit = Limit::AtMost(0.5);

const WAL_BYTES: &str = "select pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::bigint";
const UPDATES: &str =
    "select n_tup_upd from pg_stat_user_tables where relname = 'node_server_heartbeat'";
const HOT_UPDATES: &str =
    "select n_tup_hot_upd from pg_stat_user_tables where relname = 'node_server_heartbeat'";

#[derive(Debug, Serialize)]
pub struct Watch {
    pub servers: i64,
    /// Number of recorded heartbeats.
    pub heartbeats: i64,
    /// Share of the heartbeat table's updates that were heap-only.
    pub hot: f64,
    /// Write-ahead log of the statement that records heartbeats, in bytes per heartbeat.
    pub heartbeat_wal_bytes: f64,
    /// All write-ahead log, including the reports' ids, in bytes per heartbeat.
    pub wal_bytes: f64,
    /// Median duration of a refresh with two days of history, in milliseconds.
    pub refresh_few_ms: f64,
    /// Median duration of a refresh with two years of history, in milliseconds.
    pub refresh_many_ms: f64,
    /// Median of the ratio of the two durations in each round.
    pub growth: f64,
    /// Longest wait of a reader that runs during these refreshes, in milliseconds.
    pub reader_ms: f64,
    /// Longest wait of the same reader without a refresh, in milliseconds.
    pub reader_alone_ms: f64,
}

/// Measures on two databases: heartbeats and a short history in one, a long history in the other.
pub async fn measure(short: &Database, long: &Database) -> Result<Watch> {
    for database in [short, long] {
        let mut connection = database.connect().await?;
        let servers = format!(
            "insert into telecom.node_server (name, compatibility, status) select 's', 'ssp', \
             'online' from generate_series(1, {SERVERS})"
        );
        run(&mut connection, &servers).await?;
    }
    let heartbeats = measure_heartbeats(short);
    let (hot, heartbeat_wal_bytes, wal_bytes) =
        step("1,000 servers, 60 minutes of heartbeats", heartbeats).await?;
    let clock = Fixed::at(System.now());
    let days = History::fill(short, &clock, DAYS_FEW);
    let short = step("Two days of hourly history", days).await?;
    let years = History::fill(long, &clock, DAYS_MANY);
    let long = step("Two years of hourly history", years).await?;
    let refreshes = step("Refreshing both in turn", Refreshes::measure(&short, &long)).await?;
    let growths = refreshes
        .few
        .iter()
        .zip(&refreshes.many)
        .map(|(few, many)| many / few);
    Ok(Watch {
        servers: SERVERS,
        heartbeats: SERVERS * MINUTES,
        hot,
        heartbeat_wal_bytes,
        wal_bytes,
        growth: median(growths.collect())?,
        refresh_few_ms: median(refreshes.few)?,
        refresh_many_ms: median(refreshes.many)?,
        reader_ms: refreshes.reader,
        reader_alone_ms: refreshes.reader_alone,
    })
}

/// Ingests an empty report of every server for each minute. Returns the share of heap-only updates,
/// and the WAL bytes per heartbeat of the statement and in total.
#[expect(
    clippy::as_conversions,
    clippy::cast_precision_loss,
    reason = "counts far below 2^52"
)]
async fn measure_heartbeats(database: &Database) -> Result<(f64, f64, f64)> {
    let connection = &mut database.connect().await?;
    run(
        connection,
        "create extension if not exists pg_stat_statements",
    )
    .await?;
    let start = System.now() - TimeDelta::minutes(MINUTES + 1);
    let pool = database.pool(1);
    let ingest = IngestUsageReports::new(pool.clone(), Context::system());
    minute(&ingest, start).await?;
    run(connection, "vacuum telecom.node_server_heartbeat").await?;
    checkpoint(connection).await?;
    run(
        connection,
        "select pg_stat_statements_reset(), pg_stat_reset()",
    )
    .await?;
    let before = number(connection, WAL_BYTES).await?;
    for passed in 1..=MINUTES {
        minute(&ingest, start + TimeDelta::minutes(passed)).await?;
    }
    let after = number(connection, WAL_BYTES).await?;
    let of_statement = "select wal_bytes::bigint from pg_stat_statements \
        where query like '/* node.record_heartbeats%'";
    let statement = number(connection, of_statement).await?;
    // A connection reports the last of its counts when it ends.
    pool.close().await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let updates = number(connection, UPDATES).await?;
    let hot = number(connection, HOT_UPDATES).await?;
    ensure!(
        updates >= SERVERS * (MINUTES - 1),
        "Only {updates} updates were counted."
    );
    let beats = (SERVERS * MINUTES) as f64;
    Ok((
        hot as f64 / updates as f64,
        statement as f64 / beats,
        (after - before) as f64 / beats,
    ))
}

async fn minute(ingest: &IngestUsageReports, end: DateTime<Utc>) -> Result<()> {
    let report = |server: i64| {
        json!({
            "type": "usage.report.v1", "report_id": Uuid::new_v4(), "server_id": server,
            "period_start": end - TimeDelta::minutes(1), "period_end": end, "usage": [],
            "metrics": { "cpu_percent": 12.5, "memory_used": 1_000_000_000_i64, "load1": 0.5,
                "online_users": server % 100 },
        })
        .to_string()
    };
    let bodies: Vec<String> = (1..=SERVERS).map(report).collect();
    for reports in deliveries(&bodies, REPORTS_PER_DELIVERY)? {
        consume(ingest, &reports).await?;
    }
    Ok(())
}

/// A database with hourly snapshots, and the job that refreshes their view.
struct History<'a> {
    database: &'a Database,
    job: TelecomCronExecutor,
}

impl<'a> History<'a> {
    /// Inserts snapshots of all servers over the last `days` days in the order in which the job
    /// records them: by hour, then by server. Their location in the table affects the time to read
    /// them.
    async fn fill(database: &'a Database, clock: &Arc<Fixed>, days: i64) -> Result<Self> {
        let now = clock.now();
        // The table is vacuumed once it is full. An automatic vacuum would run during the
        // measurement.
        let rows = format!(
            "alter table telecom.node_status_history set (autovacuum_enabled = off);
             insert into telecom.node_status_history (node_server_id, status, created_at)
             select s, 'online', timestamptz '{now}' - h * interval '1 hour'
             from generate_series(0, {days} * 24 - 1) h, generate_series(1, {SERVERS}) s
             order by h desc, s;
             vacuum analyze telecom.node_status_history"
        );
        let connection = &mut database.connect().await?;
        run_all(connection, &rows).await?;
        checkpoint(connection).await?;
        let mut config = TelecomConfig::default();
        config.retention.node_status_days = RETENTION_DAYS;
        let publisher = Messaging::start().await?.publisher().await;
        let job =
            TelecomCronExecutor::new(database.pool(1), publisher, Context::fixed(clock), config);
        let history = Self { database, job };
        // This run seals the hours that later runs find sealed.
        history.refresh().await?;
        Ok(history)
    }

    /// Runs the whole job and returns its duration in milliseconds.
    async fn refresh(&self) -> Result<f64> {
        let began = Instant::now();
        let done = self
            .job
            .process(RefreshNodeStatusViewJob(Run::default()))
            .await
            .map_err(fault)?;
        ensure!(
            done.complete && done.snapshots_deleted == 0,
            "The job did more than refresh: {done:?}."
        );
        Ok(began.elapsed().as_secs_f64() * 1e3)
    }
}

#[derive(Default)]
struct Refreshes {
    few: Vec<f64>,
    many: Vec<f64>,
    /// Longest read during a refresh of the long history.
    reader: f64,
    reader_alone: f64,
}

impl Refreshes {
    /// Runs the job on both histories in turn, each time with a concurrent reader.
    async fn measure(short: &History<'_>, long: &History<'_>) -> Result<Self> {
        let pause = async {
            tokio::time::sleep(Duration::from_millis(500)).await;
            Ok(())
        };
        let ((), reader_alone) = longest_read(long.database, pause).await?;
        let mut all = Self {
            reader_alone,
            ..Self::default()
        };
        for _ in 0..ROUNDS {
            let (many, reader) = longest_read(long.database, long.refresh()).await?;
            let (few, _) = longest_read(short.database, short.refresh()).await?;
            all.few.push(few);
            all.many.push(many);
            all.reader = all.reader.max(reader);
        }
        Ok(all)
    }
}

fn median(mut values: Vec<f64>) -> Result<f64> {
    values.sort_by(f64::total_cmp);
    let median = values.get(values.len() / 2).copied();
    median.context("Nothing was measured.")
}

/// Reads a day of one server repeatedly until `work` is done. Returns the result of `work`, and the
/// longest duration of a read in milliseconds.
async fn longest_read<T>(
    database: &Database,
    work: impl Future<Output = Result<T>>,
) -> Result<(T, f64)> {
    let mut connection = database.connect().await?;
    let is_finished = Arc::new(AtomicBool::new(false));
    let until = Arc::clone(&is_finished);
    let reader = tokio::spawn(async move {
        let mut longest = Duration::ZERO;
        while !until.load(Ordering::Relaxed) {
            let began = Instant::now();
            sqlx::query(
                "select count(*) from telecom.node_status_hourly where node_server_id = 7 \
                and hour >= now() - interval '1 day'",
            )
            .execute(&mut connection)
            .await?;
            longest = longest.max(began.elapsed());
        }
        anyhow::Ok(longest)
    });
    let done = work.await;
    is_finished.store(true, Ordering::Relaxed);
    let longest = reader.await.context("The reader panicked.")??;
    Ok((done?, longest.as_secs_f64() * 1e3))
}

async fn number(connection: &mut PgConnection, sql: &'static str) -> Result<i64> {
    sqlx::query_scalar(sql)
        .fetch_one(connection)
        .await
        .with_context(|| format!("This failed: {sql}"))
}

impl Watch {
    pub fn bars(&self) -> [Bar; 3] {
        let wait = self.reader_ms / self.refresh_many_ms;
        [
            Bar::new("heartbeats that stay heap-only", HOT_SHARE, self.hot, 3),
            Bar::new("refresh, 2 years × refresh, 2 days", GROWTH, self.growth, 3),
            Bar::new("a reader's longest wait × refresh", WAIT, wait, 3),
        ]
    }

    pub fn text(&self) -> String {
        format!(
            "{} servers, {} heartbeats: {:.1} % of the updates heap-only, {:.0} bytes of WAL per \
             heartbeat, {:.0} with the report's id and commit\nrefresh: {:.1} ms with 2 days of \
             history, {:.1} ms with 2 years; a concurrent reader waited at most {:.1} ms, without \
             a refresh {:.1} ms\n",
            self.servers,
            self.heartbeats,
            self.hot * 100.0,
            self.heartbeat_wal_bytes,
            self.wal_bytes,
            self.refresh_few_ms,
            self.refresh_many_ms,
            self.reader_ms,
            self.reader_alone_ms,
        )
    }
}
