//! How long questions of administrators take with two years of usage of 100,000 users.

mod history;
pub mod indexes;
mod questions;
mod sums;

use std::time::Instant;

use anyhow::{Context as _, Result};
use local::demo::token::Issuer;
use serde::Serialize;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::api::calls::Client;
use crate::api::server::Server;
use crate::cli::Cli;
use crate::database::Database;
use crate::percentile::percentile_ms;
use crate::progress::step;
use crate::results::{Bar, Limit};
use crate::table::Table;
use history::{History, Scale};
use questions::{Question, Questions};

/// Calls of each kind that are not measured. After five of them, the database no longer plans a
/// statement for each call.
const WARM_UP: usize = 20;
/// Measured calls of each kind, one after another.
const CALLS: usize = 200;
/// Users of the requests of one user, a different one in each call of a kind.
const USERS: i64 = 220;
/// Tables whose size is reported.
const TABLES: [&str; 5] = [
    "user_package_usage",
    "user_usage_daily",
    "node_usage_hourly",
    "node_usage_daily",
    "package_queue",
];

#[derive(Debug, Serialize)]
pub struct Analytics {
    /// Version of PostgreSQL, and its settings that matter.
    pub environment: String,
    pub scale: Scale,
    /// Size of the database in bytes.
    pub database_bytes: i64,
    pub tables: Vec<TableSize>,
    /// How long the job took to find the top users of 30 days, in seconds.
    pub top_users_seconds: f64,
    pub latencies: Vec<Latency>,
}

#[derive(Debug, Serialize)]
pub struct TableSize {
    pub name: &'static str,
    pub rows: i64,
    /// Size of the table and its indexes.
    pub bytes: i64,
}

#[derive(Debug, Serialize)]
pub struct Latency {
    pub question: &'static str,
    /// Number of measured calls.
    pub calls: usize,
    /// Median of the measured calls, in milliseconds.
    pub p50_ms: f64,
    /// 99th percentile, in milliseconds.
    pub p99_ms: f64,
    #[serde(skip)]
    bar: Option<Limit>,
}

/// Measures the operations over gRPC, with the release build of the server.
pub async fn measure(cli: &Cli, database: &Database) -> Result<Analytics> {
    let history = History::fill(database, Scale::new(cli.quick)).await?;
    let mut connection = database.connect().await?;
    let questions = Questions::new(&history, &mut connection).all(USERS);
    let questions = step("Computing the expected sums", questions).await?;
    let issuer = Issuer::generate()?;
    let server = Server::start(&cli.functions, &database.url, &issuer).await?;
    let client = Client::connect(&server, &issuer, Uuid::nil()).await?;
    let mut latencies = Vec::new();
    for question in &questions {
        latencies.push(step(question.name, ask(&client, question)).await?);
    }
    let mut tables = Vec::new();
    for name in TABLES {
        tables.push(TableSize::read(&mut connection, name).await?);
    }
    Ok(Analytics {
        environment: environment(&mut connection).await?,
        scale: history.scale,
        database_bytes: number(&mut connection, DATABASE_BYTES).await?,
        tables,
        top_users_seconds: sqlx::query_scalar(TOP_USERS_SECONDS)
            .fetch_one(&mut connection)
            .await?,
        latencies,
    })
}

const DATABASE_BYTES: &str = "select pg_database_size(current_database())";
const TOP_USERS_SECONDS: &str =
    "select seconds from telecom.top_user_refresh where range = 'month'";

async fn environment(connection: &mut PgConnection) -> Result<String> {
    const SETTINGS: &str = "select 'PostgreSQL ' || current_setting('server_version')
        || ', shared_buffers ' || current_setting('shared_buffers')
        || ', work_mem ' || current_setting('work_mem')";
    let settings: String = sqlx::query_scalar(SETTINGS).fetch_one(connection).await?;
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    Ok(format!("{settings}, {cores} cores"))
}

async fn number(connection: &mut PgConnection, sql: &str) -> Result<i64> {
    Ok(sqlx::query_scalar(sql).fetch_one(connection).await?)
}

impl TableSize {
    async fn read(connection: &mut PgConnection, name: &'static str) -> Result<Self> {
        let rows = format!(
            "select reltuples::bigint from pg_class where oid = 'telecom.{name}'::regclass"
        );
        let bytes = format!("select pg_total_relation_size('telecom.{name}')");
        Ok(Self {
            name,
            rows: number(connection, &rows).await?,
            bytes: number(connection, &bytes).await?,
        })
    }
}

/// Calls the requests of a question in turn, one at a time, and then checks all responses.
async fn ask(client: &Client, question: &Question) -> Result<Latency> {
    let (mut times, mut responses) = (Vec::new(), Vec::new());
    for request in question.requests.iter().cycle().take(WARM_UP + CALLS) {
        let called_at = Instant::now();
        let response = request.rpc.call(client.clone()).await;
        times.push(called_at.elapsed());
        let response = response.with_context(|| format!("{} failed.", request.rpc.name))?;
        responses.push((request, response));
    }
    for (request, response) in responses {
        request.check(&response)?;
    }
    let mut measured = times.split_off(WARM_UP);
    measured.sort_unstable();
    Ok(Latency {
        question: question.name,
        calls: measured.len(),
        p50_ms: percentile_ms(&measured, 50),
        p99_ms: percentile_ms(&measured, 99),
        bar: question.bar,
    })
}

impl Analytics {
    /// The bars of the medians.
    pub fn bars(&self) -> Vec<Bar> {
        let bar = |latency: &Latency| {
            let name = format!("{}, p50 ms", latency.question);
            Some(Bar::new(name, latency.bar?, latency.p50_ms, 1))
        };
        self.latencies.iter().filter_map(bar).collect()
    }

    pub fn text(&self, markdown: bool) -> String {
        let mut tables = Table::new(&["table", "rows", "MB with indexes"]);
        for table in &self.tables {
            let mb = (table.bytes >> 20).to_string();
            tables.push(vec![table.name.to_owned(), table.rows.to_string(), mb]);
        }
        let mut latencies = Table::new(&["question", "calls", "p50 ms", "p99 ms"]);
        for latency in &self.latencies {
            latencies.push(vec![
                latency.question.to_owned(),
                latency.calls.to_string(),
                format!("{:.1}", latency.p50_ms),
                format!("{:.1}", latency.p99_ms),
            ]);
        }
        format!(
            "{}; {} days, {} users, one in {} with usage on all days; {} MB; top users of 30 days \
             found in {:.1} s\n\n{}\n{}",
            self.environment,
            self.scale.days,
            self.scale.users,
            self.scale.users_per_daily_user,
            self.database_bytes >> 20,
            self.top_users_seconds,
            tables.write(markdown),
            latencies.write(markdown)
        )
    }
}
