//! The references for the pipeline: the fastest way into PostgreSQL, and the usual way of panels.
//! The set-based way of the best panels is in [`crate::set_based`].

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use sqlx::Row as _;

use crate::database::{Database, flush_statistics, run};
use crate::fleet;
use crate::workload::Row;

/// Rows per COPY and per delivery.
const ROWS_PER_COMMIT: usize = 10_000;
/// How often the rows of a minute are copied, so that the time is long enough to be measured.
const COPIES: usize = 12;
/// Number of connections of the panels' way.
const PANEL_CONNECTIONS: usize = 8;

/// A table with the columns of `telecom.traffic_usage`, without indexes, partitions or constraints.
const BARE_TABLE: &str = "
drop table if exists public.bare_usage;
create table public.bare_usage (
    usage_report_seq bigint not null, received_at timestamptz not null,
    upload_bytes bigint not null,
    download_bytes bigint not null, user_id uuid not null, node_client_id integer,
    traffic_factor numeric(7, 4) not null
)";

const COPIED: &str =
    "select count(*), sum(upload_bytes + download_bytes)::bigint from public.bare_usage";

/// Tables as panels have them: counters in the user's row, and a log with its two usual indexes.
const PANEL_TABLES: &str = "
drop table if exists public.panel_user, public.panel_traffic_log;
create table public.panel_user (
    id integer primary key, uuid uuid not null unique, u bigint not null default 0,
    d bigint not null default 0,
    transfer_enable bigint not null default 107374182400, t integer not null default 0,
    plan_id integer,
    expired_at timestamptz, updated_at timestamptz not null default now()
);
create table public.panel_traffic_log (
    id bigint generated always as identity primary key, user_id integer not null,
    server_id integer not null,
    rate numeric(10, 2) not null, u bigint not null, d bigint not null,
    log_at timestamptz not null default now()
);
create index on public.panel_traffic_log (user_id);
create index on public.panel_traffic_log (log_at)";

const PANEL_USERS: &str = "insert into public.panel_user (id, uuid) select n - 1, id \
    from unnest($1::uuid[]) with ordinality as u (id, n)";

#[derive(Debug, Clone, Copy)]
pub struct Measured {
    pub rows: usize,
    pub time: Duration,
}

/// Binary COPY on one connection, with a commit every 10,000 rows. The rows are encoded before the
/// time is measured.
#[derive(Debug)]
pub struct Copy {
    connection: PgConnection,
    time: Duration,
    rows: usize,
}

impl Copy {
    pub async fn start(database: &Database) -> Result<Self> {
        let mut connection = database.connect().await?;
        run(&mut connection, BARE_TABLE).await?;
        Ok(Self {
            connection,
            time: Duration::ZERO,
            rows: 0,
        })
    }

    /// Copies the rows of a minute [`COPIES`] times, checks them, and removes them.
    pub async fn add(&mut self, rows: &[Row]) -> Result<()> {
        let chunks: Vec<Vec<u8>> = rows
            .chunks(ROWS_PER_COMMIT)
            .map(binary)
            .collect::<Result<_>>()?;
        let began = Instant::now();
        for chunk in std::iter::repeat_n(&chunks, COPIES).flatten() {
            let mut copy = self
                .connection
                .copy_in_raw("copy public.bare_usage from stdin with (format binary)")
                .await?;
            copy.send(chunk.as_slice()).await?;
            copy.finish().await?;
        }
        self.time += began.elapsed();
        let copied = rows.repeat(COPIES);
        check(&mut self.connection, COPIED, &copied)
            .await
            .context("COPY")?;
        self.rows += copied.len();
        run(&mut self.connection, "truncate public.bare_usage").await?;
        flush_statistics(&mut self.connection).await
    }

    pub fn finish(&self) -> Measured {
        Measured {
            rows: self.rows,
            time: self.time,
        }
    }
}

fn binary(rows: &[Row]) -> Result<Vec<u8>> {
    // The wire format counts microseconds since 2000-01-01.
    let received_at = DateTime::<Utc>::UNIX_EPOCH.timestamp_micros() + 800_000_000_000_000;
    let mut buffer = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0".to_vec();
    for row in rows {
        buffer.extend_from_slice(&7_i16.to_be_bytes());
        field(&mut buffer, &1_i64.to_be_bytes())?;
        field(&mut buffer, &received_at.to_be_bytes())?;
        field(&mut buffer, &row.upload.to_be_bytes())?;
        field(&mut buffer, &row.download.to_be_bytes())?;
        field(&mut buffer, row.device.user_id.as_bytes())?;
        field(&mut buffer, &row.device.client_id.to_be_bytes())?;
        field(&mut buffer, &factor(row.device.halves)?)?;
    }
    buffer.extend_from_slice(&(-1_i16).to_be_bytes());
    Ok(buffer)
}

fn field(buffer: &mut Vec<u8>, value: &[u8]) -> Result<()> {
    buffer.extend_from_slice(&i32::try_from(value.len())?.to_be_bytes());
    buffer.extend_from_slice(value);
    Ok(())
}

/// Encodes a `numeric`: number of digits in base 10,000, weight of the first digit, sign, decimals,
/// digits.
fn factor(halves: i64) -> Result<Vec<u8>> {
    let (whole, rest) = (
        i16::try_from(halves / 2)?,
        i16::try_from(halves % 2 * 5_000)?,
    );
    let (weight, digits) = match (whole, rest) {
        (0, 0) => (0, vec![]),
        (0, _) => (-1, vec![rest]),
        (_, 0) => (0, vec![whole]),
        _ => (0, vec![whole, rest]),
    };
    let head = [i16::try_from(digits.len())?, weight, 0, 4];
    Ok(head
        .into_iter()
        .chain(digits)
        .flat_map(i16::to_be_bytes)
        .collect())
}

/// The panels' way: for each row a transaction that adds to the user's counters and writes a log
/// row, on 8 connections.
#[derive(Debug)]
pub struct Panels {
    connections: Vec<PgConnection>,
    time: Duration,
    done: Vec<Row>,
}

impl Panels {
    pub async fn start(database: &Database) -> Result<Self> {
        let mut connection = database.connect().await?;
        run(&mut connection, PANEL_TABLES).await?;
        sqlx::query(PANEL_USERS)
            .bind(fleet::user_ids())
            .execute(&mut connection)
            .await?;
        run(&mut connection, "vacuum analyze public.panel_user").await?;
        let mut connections = Vec::new();
        for _ in 0..PANEL_CONNECTIONS {
            connections.push(database.connect().await?);
        }
        Ok(Self {
            connections,
            time: Duration::ZERO,
            done: Vec::new(),
        })
    }

    /// Processes as many rows as possible within `limit`.
    pub async fn add(&mut self, rows: &[Row], limit: Duration) -> Result<()> {
        let began = Instant::now();
        let mut workers = Vec::new();
        for (worker, connection) in self.connections.drain(..).enumerate() {
            let share: Vec<Row> = rows
                .iter()
                .skip(worker)
                .step_by(PANEL_CONNECTIONS)
                .copied()
                .collect();
            workers.push(tokio::spawn(panel_worker(connection, share, began + limit)));
        }
        for worker in workers {
            let (connection, done) = worker
                .await
                .context("A worker of the panels' way panicked.")??;
            self.connections.push(connection);
            self.done.extend(done);
        }
        self.time += began.elapsed();
        for connection in &mut self.connections {
            flush_statistics(connection).await?;
        }
        Ok(())
    }

    /// Checks the recorded rows and returns the measurement.
    pub async fn finish(mut self) -> Result<Measured> {
        const LOGGED: &str = "select count(*), sum(u + d)::bigint from public.panel_traffic_log";
        const COUNTED: &str = "select (select count(*) from public.panel_traffic_log), \
            sum(u + d)::bigint from public.panel_user";
        let connection = self
            .connections
            .first_mut()
            .context("The panels' way has no connection.")?;
        check(connection, LOGGED, &self.done)
            .await
            .context("The panels' log")?;
        check(connection, COUNTED, &self.done)
            .await
            .context("The panels' counters")?;
        Ok(Measured {
            rows: self.done.len(),
            time: self.time,
        })
    }
}

async fn panel_worker(
    mut connection: PgConnection,
    rows: Vec<Row>,
    until: Instant,
) -> Result<(PgConnection, Vec<Row>)> {
    let mut done = Vec::new();
    for row in rows {
        if Instant::now() >= until {
            break;
        }
        panel_row(&mut connection, &row).await?;
        done.push(row);
    }
    Ok((connection, done))
}

async fn panel_row(connection: &mut PgConnection, row: &Row) -> Result<()> {
    let mut tx = sqlx::Connection::begin(connection).await?;
    sqlx::query(
        "update public.panel_user set u = u + $2, d = d + $3, t = extract(epoch \
        from now())::int, updated_at = now() where id = $1",
    )
    .bind(row.device.user)
    .bind(row.upload)
    .bind(row.download)
    .execute(&mut *tx)
    .await?;
    sqlx::query(
        "insert into public.panel_traffic_log (user_id, server_id, rate, u, d) values ($1, $2, \
         $3::bigint * 0.5, $4, $5)",
    )
    .bind(row.device.user)
    .bind(row.device.server_id)
    .bind(row.device.halves)
    .bind(row.upload)
    .bind(row.download)
    .execute(&mut *tx)
    .await?;
    tx.commit().await?;
    Ok(())
}

/// `sums` is a query for the number of rows and their bytes.
pub async fn check(connection: &mut PgConnection, sums: &str, rows: &[Row]) -> Result<()> {
    let found = sqlx::query(sums).fetch_one(connection).await?;
    let (count, bytes): (i64, i64) = (found.try_get(0)?, found.try_get(1)?);
    let expected: i64 = rows.iter().map(|row| row.upload + row.download).sum();
    ensure!(
        count == i64::try_from(rows.len())?,
        "{count} rows are recorded, expected were {}.",
        rows.len()
    );
    ensure!(
        bytes == expected,
        "{bytes} bytes are recorded, expected were {expected}."
    );
    Ok(())
}
