//! The pipeline and the API with a month of history present, compared with empty tables.

mod fill;
mod jobs;
mod statements;

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde::Serialize;
use sqlx::PgConnection;

use crate::api::{self, Served};
use crate::cli::Cli;
use crate::database::{Database, checkpoint};
use crate::fleet;
use crate::messaging::Messaging;
use crate::pipeline::{Pipeline, Totals};
use crate::progress::step;
use crate::results::{Bar, Limit};
use crate::table::Table;
use crate::throughput::middle;
use crate::verify::Expected;
use crate::workload::Minute;
pub use fill::Scale;
use jobs::Idle;
use statements::{Statements, Watch};

/// Speed with history, as a multiple of that with empty tables.
const WITH_HISTORY: Limit = Limit::AtLeast(0.9);
/// Turns of each RPC on each database.
const TURNS: usize = 5;
/// How long a turn takes.
const TURN: Duration = Duration::from_millis(700);
/// Concurrent clients of an RPC.
const CLIENTS: usize = 8;

#[derive(Debug, Serialize)]
pub struct Growth {
    pub scale: Scale,
    /// Size of the database with history, in units of 2^30 bytes.
    pub gigabytes: f64,
    pub stages: Vec<Compared>,
    pub rpcs: Vec<Compared>,
    pub jobs: Vec<Idle>,
    pub statements: Statements,
}

/// A rate on both databases.
#[derive(Debug, Serialize)]
pub struct Compared {
    pub what: &'static str,
    /// Rows or calls per second with empty tables, the median of all turns.
    pub empty: f64,
    /// The same with history.
    pub history: f64,
    /// Median of the ratios of neighbouring turns.
    pub ratio: f64,
}

impl Compared {
    /// Each turn is a pair of rates, with empty tables and with history.
    fn new(what: &'static str, turns: &[(f64, f64)]) -> Self {
        Self {
            what,
            empty: middle(turns.iter().map(|turn| turn.0)),
            history: middle(turns.iter().map(|turn| turn.1)),
            ratio: middle(turns.iter().map(|turn| turn.1 / turn.0)),
        }
    }
}

/// Measures on two databases, the second of which gets a history first.
pub async fn measure(
    cli: &Cli,
    databases: [&Database; 2],
    users: u32,
    (warm_up, minutes): (Minute, Vec<Minute>),
) -> Result<Growth> {
    let scale = Scale::new(users);
    let [empty, history] = databases;
    for database in databases {
        fleet::seed(&mut database.connect().await?).await?;
    }
    fill::fill(history, scale).await?;
    step("A month of usage of the fleet", api::seed(empty)).await?;
    step("The same with history", api::seed(history)).await?;
    let mut sides = [
        Side::start(empty, &warm_up).await?,
        Side::start(history, &warm_up).await?,
    ];
    let mut watch = Watch::start(databases).await?;
    let stages = step("Pipeline, minute by minute", stages(&mut sides, &minutes)).await?;
    let [first, second] = sides;
    step("Sums with empty tables", first.verify()).await?;
    step("Sums with history", second.verify()).await?;
    let rpcs = Box::pin(rpcs(cli, databases)).await?;
    let jobs = step("Jobs, in turns", jobs::compare(databases, &mut watch)).await?;
    Ok(Growth {
        scale,
        gigabytes: gigabytes(&mut history.connect().await?).await?,
        stages,
        rpcs,
        jobs,
        statements: watch.compare(),
    })
}

/// The pipeline on one database.
struct Side {
    connection: PgConnection,
    expected: Expected,
    pipeline: Pipeline,
}

impl Side {
    async fn start(database: &Database, warm_up: &Minute) -> Result<Self> {
        let mut connection = database.connect().await?;
        let messaging = Messaging::start().await?;
        let mut side = Self {
            expected: Expected::start(&mut connection).await?,
            pipeline: Pipeline::new(database, &messaging, 4, false).await?,
            connection,
        };
        side.expected.add(&warm_up.rows);
        side.pipeline.warm_up(warm_up).await?;
        checkpoint(&mut side.connection).await?;
        Ok(side)
    }

    /// Processes a minute and returns what it took.
    async fn minute(&mut self, minute: &Minute) -> Result<Totals> {
        self.expected.add(&minute.rows);
        self.pipeline.minute(minute).await?;
        Ok(self.pipeline.take_totals())
    }

    async fn verify(mut self) -> Result<()> {
        self.expected.verify(&mut self.connection).await
    }
}

/// Rows per second of each stage. The side that begins changes from minute to minute.
async fn stages(sides: &mut [Side; 2], minutes: &[Minute]) -> Result<Vec<Compared>> {
    let mut turns: Vec<[Totals; 2]> = Vec::new();
    for (number, minute) in minutes.iter().enumerate() {
        let [empty, history] = &mut *sides;
        turns.push(if number % 2 == 0 {
            let first = empty.minute(minute).await?;
            [first, history.minute(minute).await?]
        } else {
            let first = history.minute(minute).await?;
            [empty.minute(minute).await?, first]
        });
    }
    let stage = |what, time: fn(&Totals) -> Duration| {
        let rates: Vec<(f64, f64)> = turns
            .iter()
            .map(|[empty, history]| {
                let rate = |totals: &Totals| totals.rate(time(totals));
                (rate(empty), rate(history))
            })
            .collect();
        Compared::new(what, &rates)
    };
    Ok(vec![
        stage("ingest", |totals| totals.ingest),
        stage("bill", |totals| totals.bill),
        stage("apply", |totals| totals.apply),
        stage("end to end", Totals::end_to_end),
    ])
}

/// Calls per second of each RPC, in turns.
async fn rpcs(cli: &Cli, [empty, history]: [&Database; 2]) -> Result<Vec<Compared>> {
    let empty = Served::start(cli, empty).await?;
    let history = Served::start(cli, history).await?;
    step("API, in turns", calls(&empty, &history)).await
}

async fn calls(empty: &Served, history: &Served) -> Result<Vec<Compared>> {
    let mut compared = Vec::new();
    for rpc in api::calls::all()?.into_iter().map(Arc::new) {
        let mut turns = Vec::new();
        // The first turn warms up.
        for turn in 0..=TURNS {
            let first = empty.calls_per_second(&rpc, CLIENTS, TURN).await?;
            let second = history.calls_per_second(&rpc, CLIENTS, TURN).await?;
            if turn > 0 {
                turns.push((first, second));
            }
        }
        compared.push(Compared::new(rpc.name, &turns));
    }
    Ok(compared)
}

async fn gigabytes(connection: &mut PgConnection) -> Result<f64> {
    const SIZE: &str = "select (pg_database_size(current_database()) / 1024.0 ^ 3)::float8";
    sqlx::query_scalar(SIZE)
        .fetch_one(connection)
        .await
        .context("The size of the database cannot be read.")
}

impl Growth {
    pub fn bars(&self) -> Vec<Bar> {
        let end_to_end = self
            .stages
            .iter()
            .filter(|stage| stage.what == "end to end");
        end_to_end
            .chain(&self.rpcs)
            .map(|compared| {
                let name = format!("{}, history × empty", compared.what);
                Bar::new(name, WITH_HISTORY, compared.ratio, 2)
            })
            .collect()
    }

    pub fn text(&self, markdown: bool) -> String {
        let Scale {
            users,
            raw_rows,
            hourly_rows,
            items,
        } = self.scale;
        let table = |unit: &str, rows: &[Compared]| {
            let (empty, history) = (format!("{unit}, empty"), format!("{unit}, history"));
            let mut table = Table::new(&["", &empty, &history, "ratio"]);
            for row in rows {
                table.push(vec![
                    row.what.to_owned(),
                    format!("{:.0}", row.empty),
                    format!("{:.0}", row.history),
                    format!("{:.2}", row.ratio),
                ]);
            }
            table.write(markdown)
        };
        format!(
            "{users} users with {raw_rows} raw rows, {hourly_rows} hourly rows and {items} \
             consumed packages, {:.1} GB\n\n{}\n{}\n{}\n{}",
            self.gigabytes,
            table("rows/s", &self.stages),
            table("calls/s", &self.rpcs),
            jobs::table(&self.jobs).write(markdown),
            self.statements.text(markdown),
        )
    }
}
