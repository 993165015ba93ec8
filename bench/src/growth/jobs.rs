//! How long jobs take when there is nothing new for them.

use std::time::Instant;

use anyhow::Result;
use serde::Serialize;
use shared::clock::Context;
use shared::config::TelecomConfig;
use shared::services::Processor;
use shared::services::cron::apply_package_extensions::ApplyPackageExtensionsJob;
use shared::services::cron::bill_traffic::BillTrafficJob;
use shared::services::cron::expire_packages::PackageExpiringJob;
use shared::services::cron::maintain_storage::MaintainStorageJob;
use shared::services::cron::reconcile_usage::ReconcileUsageJob;
use shared::services::cron::record_node_status_history::RecordNodeStatusHistoryJob;
use shared::services::cron::refresh_node_status_view::RefreshNodeStatusViewJob;
use shared::services::cron::refresh_server_status::RefreshServerStatus;
use shared::services::cron::summarize_usage::SummarizeUsageJob;
use shared::services::cron::sweep_outbox::SweepOutboxJob;
use shared::services::cron::{Job, Run, TelecomCronExecutor};

use super::statements::Watch;
use crate::database::{Database, fault};
use crate::messaging::Messaging;
use crate::table::Table;
use crate::throughput::middle;

/// Runs of each job on each database.
const TURNS: usize = 5;

/// Milliseconds of one run of a job, the median of all turns.
#[derive(Debug, Serialize)]
pub struct Idle {
    pub job: &'static str,
    pub empty_ms: f64,
    pub history_ms: f64,
}

/// Runs each job on both databases in turns. Its first run does what waited for it, and is neither
/// measured nor watched.
pub async fn compare([empty, history]: [&Database; 2], watch: &mut Watch) -> Result<Vec<Idle>> {
    let sides = [executor(empty).await?, executor(history).await?];
    watch.count().await?;
    all(&sides, 1).await?;
    watch.skip().await?;
    let jobs = all(&sides, TURNS).await?;
    watch.count().await?;
    Ok(jobs)
}

async fn all(sides: &[TelecomCronExecutor; 2], runs: usize) -> Result<Vec<Idle>> {
    Ok(vec![
        turns(sides, BillTrafficJob, runs).await?,
        turns(sides, PackageExpiringJob, runs).await?,
        turns(sides, SweepOutboxJob, runs).await?,
        turns(sides, SummarizeUsageJob, runs).await?,
        turns(sides, ApplyPackageExtensionsJob, runs).await?,
        turns(sides, RefreshServerStatus, runs).await?,
        turns(sides, RecordNodeStatusHistoryJob, runs).await?,
        turns(sides, RefreshNodeStatusViewJob, runs).await?,
        turns(sides, MaintainStorageJob, runs).await?,
        turns(sides, ReconcileUsageJob, runs).await?,
    ])
}

async fn executor(database: &Database) -> Result<TelecomCronExecutor> {
    Ok(TelecomCronExecutor::new(
        database.pool(1),
        Messaging::start().await?.publisher().await,
        Context::system(),
        TelecomConfig::default(),
    ))
}

async fn turns<J: Job>(
    [empty, history]: &[TelecomCronExecutor; 2],
    job: fn(Run) -> J,
    runs: usize,
) -> Result<Idle>
where
    TelecomCronExecutor: Processor<J>,
{
    let mut times = Vec::new();
    for _ in 0..runs {
        times.push((ms(empty, job).await?, ms(history, job).await?));
    }
    Ok(Idle {
        job: J::NAME.into(),
        empty_ms: middle(times.iter().map(|times| times.0)),
        history_ms: middle(times.iter().map(|times| times.1)),
    })
}

/// Milliseconds of a run.
async fn ms<J>(executor: &TelecomCronExecutor, job: fn(Run) -> J) -> Result<f64>
where
    TelecomCronExecutor: Processor<J>,
{
    let start = Instant::now();
    executor
        .process(job(Run::within(None)))
        .await
        .map_err(fault)?;
    Ok(start.elapsed().as_secs_f64() * 1_000.0)
}

pub fn table(jobs: &[Idle]) -> Table {
    let mut table = Table::new(&["job with nothing to do", "ms, empty", "ms, history"]);
    for job in jobs {
        table.push(vec![
            job.job.to_owned(),
            format!("{:.1}", job.empty_ms),
            format!("{:.1}", job.history_ms),
        ]);
    }
    table
}
