//! The run, from an empty database to the evaluation of the bars.

use std::time::Duration;

use anyhow::Result;
use serde::Serialize;
use shared::clock::{Clock, System};
use shared::telemetry;
use sqlx::PgConnection;
use tracing_subscriber::filter::{LevelFilter, Targets};

use crate::analytics;
use crate::api;
use crate::bars;
use crate::cli::Cli;
use crate::database::{Database, checkpoint};
use crate::day;
use crate::expiry;
use crate::extension;
use crate::fleet;
use crate::growth;
use crate::memory;
use crate::messaging::Messaging;
use crate::nodes;
use crate::pipeline::Pipeline;
use crate::progress::step;
use crate::reference::{Copy, Panels};
use crate::results::{self, Bar, Results};
use crate::set_based::SetBased;
use crate::throughput::{References, Workload};
use crate::verify::Expected;
use crate::watch;
use crate::workload::{Collectors, Minute, Rhythm, past_hour};

/// The bars apply to the first one, which is the default of panels' nodes.
const RHYTHMS: [Rhythm; 3] = [
    Rhythm {
        name: "reports each 60 s",
        period: Duration::from_mins(1),
        minutes: 15,
        at_once: 1,
    },
    Rhythm {
        name: "reports each 10 s",
        period: Duration::from_secs(10),
        minutes: 3,
        at_once: 1,
    },
    Rhythm {
        name: "reports each 60 s, after 15 minutes without billing",
        period: Duration::from_mins(1),
        minutes: 15,
        at_once: 15,
    },
];
/// Total time limit of the panels' way. It would need minutes for all rows, at the same speed.
const PANELS_LIMIT: Duration = Duration::from_secs(10);
/// The same seed makes every run send the same reports.
const SEED: u64 = 20_261_122;

/// Runs the selected measurements and prints the results. Returns false if a bar was missed.
pub async fn run(cli: &Cli) -> Result<bool> {
    if cli.nodes {
        println!("{}", nodes::measure(cli).await?);
        return Ok(true);
    }
    if !cli.no_telemetry {
        // What functions log is part of their work.
        let logs = telemetry::subscriber(
            Targets::new().with_default(LevelFilter::INFO),
            std::io::sink,
        );
        tracing::subscriber::set_global_default(logs)?;
    }
    let database = step("Creating the database", Database::create(cli, "")).await?;
    if cli.fleet {
        return watch(cli, &database).await;
    }
    if cli.day {
        return day(cli, &database).await;
    }
    if cli.expiry {
        return expiry(cli, &database).await;
    }
    if cli.analytics {
        return analytics(cli, &database).await;
    }
    if let Some(users) = cli.history {
        return history(cli, &database, users).await;
    }
    let mut results = Results {
        environment: database.environment(cli.consumers()).await?,
        workloads: Vec::new(),
        memory: Vec::new(),
        api: None,
        bars: Vec::new(),
    };
    if !cli.no_throughput {
        let mut rounds = RHYTHMS.map(|_| Vec::new());
        for _ in 0..cli.rounds {
            for (rhythm, rounds) in RHYTHMS.into_iter().zip(&mut rounds) {
                rounds.push(Box::pin(measure(cli, rhythm)).await?);
            }
        }
        results.workloads = rounds.into_iter().filter_map(Workload::median).collect();
    }
    if !cli.no_memory {
        results.memory = memory::measure(cli).await?;
    }
    if !cli.no_api {
        results.api = Some(Box::pin(api::measure(cli)).await?);
    }
    if !cli.keep {
        database.drop().await?;
    }
    results.bars = bars::evaluate(&results.workloads, &results.memory, results.api.as_ref());
    print(cli, &results, &results.text(cli.markdown))?;
    Ok(results.bars.iter().all(|bar| bar.met))
}

fn print(cli: &Cli, results: &impl Serialize, text: &str) -> Result<()> {
    if cli.json {
        println!("{}", serde_json::to_string_pretty(results)?);
    } else {
        println!("\n{text}");
    }
    Ok(())
}

/// Prints the results of a measurement. Returns false if a bar was missed.
fn conclude(cli: &Cli, results: &impl Serialize, bars: &[Bar], text: &str) -> Result<bool> {
    let table = results::bar_table(bars, cli.markdown);
    print(cli, results, &format!("{text}\n{table}"))?;
    Ok(bars.iter().all(|bar| bar.met))
}

/// Measures only the expiry of packages, and then their extension.
async fn expiry(cli: &Cli, database: &Database) -> Result<bool> {
    let expiry = Box::pin(expiry::measure(database)).await?;
    let extension = Box::pin(extension::measure(database)).await?;
    if !cli.keep {
        database.drop().await?;
    }
    let bars = [expiry.bar(), extension.bar()];
    conclude(cli, &(&expiry, &extension, &bars), &bars, &extension.text())
}

/// Measures only the operations that read two years of usage.
async fn analytics(cli: &Cli, database: &Database) -> Result<bool> {
    let analytics = Box::pin(analytics::measure(cli, database)).await?;
    if !cli.keep {
        database.drop().await?;
    }
    let (bars, text) = (analytics.bars(), analytics.text(cli.markdown));
    conclude(cli, &(&analytics, &bars), &bars, &text)
}

/// Measures only a day of usage.
async fn day(cli: &Cli, database: &Database) -> Result<bool> {
    let hours = if cli.quick { 2 } else { 24 };
    let day = Box::pin(day::measure(database, RHYTHMS[0], SEED, hours)).await?;
    if !cli.keep {
        database.drop().await?;
    }
    print(cli, &day, &day.text(cli.markdown))?;
    Ok(true)
}

/// Measures only with a month of history.
async fn history(cli: &Cli, empty: &Database, users: u32) -> Result<bool> {
    let history = Database::create(cli, "_history").await?;
    let reports = generate(RHYTHMS[0]).await?;
    let growth = Box::pin(growth::measure(cli, [empty, &history], users, reports)).await?;
    if !cli.keep {
        empty.drop().await?;
        history.drop().await?;
    }
    let (bars, text) = (growth.bars(), growth.text(cli.markdown));
    conclude(cli, &(&growth, &bars), &bars, &text)
}

/// Measures only the monitoring of a fleet.
async fn watch(cli: &Cli, database: &Database) -> Result<bool> {
    let years = Database::create(cli, "_years").await?;
    let watch = Box::pin(watch::measure(database, &years)).await?;
    if !cli.keep {
        database.drop().await?;
        years.drop().await?;
    }
    let bars = watch.bars();
    conclude(cli, &(&watch, &bars), &bars, &watch.text())
}

async fn measure(cli: &Cli, mut rhythm: Rhythm) -> Result<Workload> {
    let mut limit = PANELS_LIMIT;
    if cli.quick {
        rhythm.minutes = rhythm.minutes.div_ceil(10);
        limit /= 10;
    }
    let name = rhythm.name;
    let generated = generate(rhythm);
    let (warm_up, minutes) = step(&format!("{name}: generating reports"), generated).await?;
    let prepared = Comparison::prepare(cli, &warm_up);
    let mut comparison = step(&format!("{name}: seeding"), prepared).await?;
    let turns = u32::try_from(minutes.len())?;
    let measured = comparison.run(&minutes, limit / turns);
    step(&format!("{name}: measuring"), measured).await?;
    comparison.finish(name).await
}

async fn generate(rhythm: Rhythm) -> Result<(Minute, Vec<Minute>)> {
    let devices = fleet::devices();
    let mut collectors = Collectors::new(&devices, SEED, past_hour(System.now()));
    let warm_up = collectors.minute(&rhythm)?;
    let mut minutes = Vec::new();
    for _ in 0..rhythm.minutes {
        minutes.push(collectors.minute(&rhythm)?);
        tokio::task::yield_now().await;
    }
    Ok((warm_up, Minute::merge(minutes, rhythm.at_once)))
}

/// The pipeline and the references on one database. They alternate minute by minute, so that a slow
/// phase of this machine affects all of them.
struct Comparison {
    connection: PgConnection,
    expected: Expected,
    pipeline: Pipeline,
    copy: Copy,
    panels: Panels,
    set_based: SetBased,
}

impl Comparison {
    async fn prepare(cli: &Cli, warm_up: &Minute) -> Result<Self> {
        let database = Database::create(cli, "").await?;
        let mut connection = database.connect().await?;
        fleet::seed(&mut connection).await?;
        let expected = Expected::start(&mut connection).await?;
        let messaging = Messaging::start().await?;
        let mut comparison = Self {
            connection,
            expected,
            pipeline: Pipeline::new(&database, &messaging, cli.consumers().into(), cli.profile)
                .await?,
            copy: Copy::start(&database).await?,
            panels: Panels::start(&database).await?,
            set_based: SetBased::start(&database).await?,
        };
        comparison.expected.add(&warm_up.rows);
        comparison.pipeline.warm_up(warm_up).await?;
        checkpoint(&mut comparison.connection).await?;
        Ok(comparison)
    }

    async fn run(&mut self, minutes: &[Minute], panels_limit: Duration) -> Result<()> {
        for minute in minutes {
            self.copy.add(&minute.rows).await?;
            self.panels.add(&minute.rows, panels_limit).await?;
            self.set_based.add(&minute.rows).await?;
            self.expected.add(&minute.rows);
            self.pipeline.minute(minute).await?;
        }
        Ok(())
    }

    async fn finish(mut self, name: &'static str) -> Result<Workload> {
        self.expected.verify(&mut self.connection).await?;
        let references = References {
            copy: self.copy.finish(),
            panels: self.panels.finish().await?,
            set_based: self.set_based.finish().await?,
        };
        let (totals, profile) = self.pipeline.finish();
        Ok(Workload::new(name, &totals, references, profile))
    }
}
