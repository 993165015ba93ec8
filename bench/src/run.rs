//! The run, from an empty database to the verdict.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use shared::clock::{Clock, System};
use sqlx::PgConnection;

use crate::api;
use crate::bars;
use crate::cli::Cli;
use crate::database::{Database, checkpoint};
use crate::expiry;
use crate::fleet::{self, Device};
use crate::memory;
use crate::messaging::Messaging;
use crate::pipeline::Pipeline;
use crate::progress::step;
use crate::reference::{Copy, Panels};
use crate::results::{self, Results, Workload};
use crate::verify::Account;
use crate::watch;
use crate::workload::{Collectors, Minute, Rhythm, past_hour};

/// The first is what panels' nodes do unless told otherwise: the bars apply to it.
const RHYTHMS: [Rhythm; 2] = [
    Rhythm {
        name: "reports each 60 s",
        period: Duration::from_mins(1),
        minutes: 15,
    },
    Rhythm {
        name: "reports each 10 s",
        period: Duration::from_secs(10),
        minutes: 3,
    },
];
/// How long the panels' way may take in all: it would need minutes for all rows, at the same speed.
const PANELS_LIMIT: Duration = Duration::from_secs(10);
/// Makes every run send the same.
const SEED: u64 = 20_261_122;

/// Runs all that was asked for and prints it; `false`: a bar was missed.
pub async fn run(cli: &Cli) -> Result<bool> {
    let database = step(
        "Creating the database",
        Database::create(&cli.database_url, &cli.database),
    )
    .await?;
    if cli.fleet {
        return watch(cli, &database).await;
    }
    if cli.expiry {
        return expiry(cli, &database).await;
    }
    let mut results = Results {
        environment: database.environment(cli.consumers()).await?,
        workloads: Vec::new(),
        memory: Vec::new(),
        api: None,
        bars: Vec::new(),
    };
    if !cli.no_throughput {
        for rhythm in RHYTHMS {
            results
                .workloads
                .push(Box::pin(measure(cli, rhythm)).await?);
        }
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
    results.bars = bars::judge(&results.workloads, &results.memory, results.api.as_ref());
    if cli.json {
        println!("{}", serde_json::to_string_pretty(&results)?);
    } else {
        println!("\n{}", results.text(cli.markdown));
    }
    Ok(results.bars.iter().all(|bar| bar.met))
}

/// Packages that end in the same minute, on their own.
async fn expiry(cli: &Cli, database: &Database) -> Result<bool> {
    let expiry = Box::pin(expiry::measure(database)).await?;
    if !cli.keep {
        database.drop().await?;
    }
    let bars = expiry.bars();
    if cli.json {
        println!("{}", serde_json::to_string_pretty(&(&expiry, &bars))?);
    } else {
        println!("\n{}", results::bar_table(&bars, cli.markdown));
    }
    Ok(bars.iter().all(|bar| bar.met))
}

/// The watching of a fleet, on its own.
async fn watch(cli: &Cli, database: &Database) -> Result<bool> {
    let years = Database::create(&cli.database_url, &format!("{}_years", cli.database)).await?;
    let watch = Box::pin(watch::measure(database, &years)).await?;
    if !cli.keep {
        database.drop().await?;
        years.drop().await?;
    }
    let bars = watch.bars();
    if cli.json {
        println!("{}", serde_json::to_string_pretty(&(&watch, &bars))?);
    } else {
        println!(
            "\n{}\n{}",
            watch.text(),
            results::bar_table(&bars, cli.markdown)
        );
    }
    Ok(bars.iter().all(|bar| bar.met))
}

/// One workload.
async fn measure(cli: &Cli, mut rhythm: Rhythm) -> Result<Workload> {
    let mut limit = PANELS_LIMIT;
    if cli.quick {
        rhythm.minutes = rhythm.minutes.div_ceil(10);
        limit /= 10;
    }
    let name = rhythm.name;
    let devices = Arc::new(fleet::devices());
    let (warm_up, minutes) =
        step(&format!("{name}: making reports"), make(&devices, rhythm)).await?;
    let mut contest = step(
        &format!("{name}: seeding"),
        Contest::prepare(cli, &devices, &warm_up),
    )
    .await?;
    let slice = limit / rhythm.minutes;
    step(&format!("{name}: measuring"), contest.run(&minutes, slice)).await?;
    contest.finish(name).await
}

async fn make(devices: &[Device], rhythm: Rhythm) -> Result<(Minute, Vec<Minute>)> {
    let mut collectors = Collectors::new(devices, SEED, past_hour(System.now()));
    let warm_up = collectors.minute(&rhythm)?;
    let mut minutes = Vec::new();
    for _ in 0..rhythm.minutes {
        minutes.push(collectors.minute(&rhythm)?);
        tokio::task::yield_now().await;
    }
    Ok((warm_up, minutes))
}

/// The pipeline and both references on one database, taking turns minute by minute: whatever slows
/// this machine for a while slows all three.
struct Contest {
    devices: Arc<Vec<Device>>,
    connection: PgConnection,
    account: Account,
    pipeline: Pipeline,
    copy: Copy,
    panels: Panels,
}

impl Contest {
    async fn prepare(cli: &Cli, devices: &Arc<Vec<Device>>, warm_up: &Minute) -> Result<Self> {
        let database = Database::create(&cli.database_url, &cli.database).await?;
        let mut connection = database.connect().await?;
        fleet::seed(&mut connection).await?;
        let account = Account::open(&mut connection).await?;
        let messaging = Messaging::start().await?;
        let mut contest = Self {
            devices: Arc::clone(devices),
            connection,
            account,
            pipeline: Pipeline::new(&database, &messaging, cli.consumers().into(), cli.profile)
                .await?,
            copy: Copy::start(&database).await?,
            panels: Panels::start(&database, devices).await?,
        };
        contest.account.add(devices, &warm_up.rows)?;
        contest.pipeline.warm_up(warm_up).await?;
        checkpoint(&mut contest.connection).await?;
        Ok(contest)
    }

    async fn run(&mut self, minutes: &[Minute], panels_limit: Duration) -> Result<()> {
        for minute in minutes {
            self.copy.add(&self.devices, &minute.rows).await?;
            self.panels.add(&minute.rows, panels_limit).await?;
            self.account.add(&self.devices, &minute.rows)?;
            self.pipeline.minute(minute).await?;
        }
        Ok(())
    }

    async fn finish(mut self, name: &'static str) -> Result<Workload> {
        self.account.verify(&mut self.connection).await?;
        let (copy, panels) = (self.copy.finish().await?, self.panels.finish().await?);
        let (totals, profile) = self.pipeline.finish();
        Ok(Workload::new(name, &totals, copy, panels, profile))
    }
}
