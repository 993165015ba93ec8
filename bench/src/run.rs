//! The run, from an empty database to the verdict.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use shared::clock::{Clock, System};

use crate::bars;
use crate::cli::Cli;
use crate::database::{Database, checkpoint};
use crate::fleet::{self, User};
use crate::memory;
use crate::pipeline::Pipeline;
use crate::progress::step;
use crate::reference::{self, Measured};
use crate::results::{Results, Workload};
use crate::standin::messaging::Messaging;
use crate::verify::Account;
use crate::workload::{Collectors, Minute, Rhythm, past_hour};

/// The first is what panels' nodes do unless told otherwise: the bars apply to it.
const RHYTHMS: [Rhythm; 2] = [
    Rhythm { name: "reports each 60 s", period: Duration::from_mins(1), minutes: 15 },
    Rhythm { name: "reports each 10 s", period: Duration::from_secs(10), minutes: 3 },
];
/// How long the panels' way may take; it is slow, and its speed does not change.
const PANELS_LIMIT: Duration = Duration::from_secs(10);
/// Makes every run send the same.
const SEED: u64 = 20_261_122;

/// Runs all that was asked for and prints it; `false`: a bar was missed.
pub async fn run(cli: &Cli) -> Result<bool> {
    let database = step("Creating the database", Database::create(&cli.database_url, &cli.database)).await?;
    let mut results = Results {
        environment: database.environment(cli.consumers()).await?,
        workloads: Vec::new(),
        memory: Vec::new(),
        bars: Vec::new(),
    };
    if !cli.no_throughput {
        for rhythm in RHYTHMS {
            results.workloads.push(Box::pin(measure(cli, rhythm)).await?);
        }
    }
    if !cli.no_memory {
        results.memory = memory::measure(cli).await?;
    }
    if !cli.keep {
        database.drop().await?;
    }
    results.bars = bars::judge(&results.workloads, &results.memory);
    if cli.json {
        println!("{}", serde_json::to_string_pretty(&results)?);
    } else {
        println!("\n{}", results.text(cli.markdown));
    }
    Ok(results.bars.iter().all(|bar| bar.met))
}

/// One workload: the pipeline, and both references over the same rows.
async fn measure(cli: &Cli, mut rhythm: Rhythm) -> Result<Workload> {
    let mut limit = PANELS_LIMIT;
    if cli.quick {
        rhythm.minutes = rhythm.minutes.div_ceil(10);
        limit /= 10;
    }
    let name = rhythm.name;
    let users = Arc::new(fleet::users());
    let (warm_up, minutes) = step(&format!("{name}: making reports"), make(&users, rhythm)).await?;
    let database = Database::create(&cli.database_url, &cli.database).await?;
    let rows: Vec<_> = minutes.iter().flat_map(|minute| minute.rows.iter().copied()).collect();

    let mut connection = database.connect().await?;
    checkpoint(&mut connection).await?;
    let copy = step(&format!("{name}: COPY"), reference::copy(&mut connection, &users, &rows)).await?;
    let panels = reference::panels(&database, &users, &rows, limit);
    let panels: Measured = step(&format!("{name}: panels"), panels).await?;
    let metered = meter(cli, &database, &users, &warm_up, &minutes);
    let pipeline = Box::pin(step(&format!("{name}: pipeline"), metered)).await?;
    let (totals, profile) = pipeline.finish();
    Ok(Workload::new(name, &totals, copy, panels, profile))
}

async fn make(users: &[User], rhythm: Rhythm) -> Result<(Minute, Vec<Minute>)> {
    let mut collectors = Collectors::new(users, SEED, past_hour(System.now()));
    let warm_up = collectors.minute(&rhythm)?;
    let mut minutes = Vec::new();
    for _ in 0..rhythm.minutes {
        minutes.push(collectors.minute(&rhythm)?);
        tokio::task::yield_now().await;
    }
    Ok((warm_up, minutes))
}

async fn meter(
    cli: &Cli,
    database: &Database,
    users: &[User],
    warm_up: &Minute,
    minutes: &[Minute],
) -> Result<Pipeline> {
    let mut connection = database.connect().await?;
    fleet::seed(&mut connection, users).await?;
    let mut account = Account::open(&mut connection).await?;
    let mut pipeline = Pipeline::new(database, &Messaging::start().await?, cli.consumers().into(), cli.profile).await?;
    account.add(users, &warm_up.rows)?;
    pipeline.warm_up(warm_up).await?;
    checkpoint(&mut connection).await?;
    for minute in minutes {
        account.add(users, &minute.rows)?;
        pipeline.minute(minute).await?;
    }
    account.verify(&mut connection).await?;
    Ok(pipeline)
}
