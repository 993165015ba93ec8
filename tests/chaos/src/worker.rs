//! Runs a function as a separate process, with the deployed services and the harness's clock.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use aws_lambda_events::sqs::SqsEvent;
use serde::Serialize;
use serde_json::Value;
use shared::app::App;
use shared::clock::{Clock as _, Context, System};
use shared::error::Error;
use shared::lambda;
use shared::services::cron::apply_package_extensions::ApplyPackageExtensionsJob;
use shared::services::cron::bill_traffic::BillTrafficJob;
use shared::services::cron::expire_packages::PackageExpiringJob;
use shared::services::cron::maintain_storage::MaintainStorageJob;
use shared::services::cron::refresh_server_status::RefreshServerStatus;
use shared::services::cron::summarize_usage::SummarizeUsageJob;
use shared::services::cron::sweep_outbox::SweepOutboxJob;
use shared::services::cron::{Run, TelecomCronExecutor};
use shared::services::queue::apply_user_usage_billing::TelecomBillingHook;
use shared::services::queue::deliver_package_order::DeliverPackageOrder;
use shared::services::queue::handle_package_expiring::HandlePackageExpiring;
use shared::services::queue::ingest_node_usage::IngestNodeUsage;
use shared::services::queue::ingest_usage_report::IngestUsageReports;
use shared::services::{Consumer, Processor};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};

use crate::clock::FastClock;
use crate::endpoints::Endpoints;
use crate::protocol::{Function, Invocation, Outcome, Reply};

/// Handles invocations of the function `name` until the harness closes the standard input. Except
/// for the clock, the configuration comes from the environment, as it does where it is deployed.
pub async fn work(name: &str) -> Result<()> {
    let function: Function = name
        .parse()
        .with_context(|| format!("There is no function {name:?}."))?;
    // The standard output is reserved for replies.
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_max_level(tracing::Level::INFO)
        .with_ansi(false)
        .init();
    let worker = Worker::new(function).await?;
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    let mut replies = tokio::io::stdout();
    while let Some(line) = lines.next_line().await? {
        let invocation: Invocation =
            serde_json::from_str(&line).context("An invocation is malformed.")?;
        let id = invocation.id;
        let reply = Reply {
            id,
            outcome: worker.invoke(invocation).await,
        };
        replies
            .write_all(format!("{}\n", serde_json::to_string(&reply)?).as_bytes())
            .await?;
        replies.flush().await?;
    }
    Ok(())
}

struct Worker {
    clock: Arc<FastClock>,
    function: Function,
    ingest: IngestUsageReports,
    nodes: IngestNodeUsage,
    billing: TelecomBillingHook,
    expiring: HandlePackageExpiring,
    orders: DeliverPackageOrder,
    /// Only the function that serves requests has them.
    endpoints: Option<Endpoints>,
    cron: TelecomCronExecutor,
}

impl Worker {
    async fn new(function: Function) -> Result<Self> {
        let clock = Arc::new(FastClock::new(1));
        let context = Context {
            clock: clock.clone(),
            ids: Arc::new(System),
        };
        let app = App::function();
        let (pool, publisher, config) = (app.database()?, app.publisher().await, app.config()?);
        let endpoints = match function {
            Function::Manage => Some(Endpoints::new(pool.clone(), context.clone(), config)?),
            _ => None,
        };
        Ok(Self {
            clock,
            function,
            ingest: IngestUsageReports::new(pool.clone(), context.clone()),
            nodes: IngestNodeUsage::new(pool.clone(), context.clone()).with_config(&config),
            billing: TelecomBillingHook::new(pool.clone(), publisher.clone(), context.clone())
                .with_config(&config),
            expiring: HandlePackageExpiring::new(pool.clone(), publisher.clone(), context.clone()),
            orders: DeliverPackageOrder::new(pool.clone(), publisher.clone(), context.clone()),
            endpoints,
            cron: TelecomCronExecutor::new(pool, publisher, context, config),
        })
    }

    async fn invoke(&self, invocation: Invocation) -> Outcome {
        self.clock.set(invocation.now_us, invocation.speed);
        let time = Duration::from_millis(invocation.time_ms);
        // `Run` reserves a margin of five seconds, which is meant for a limit of a minute. The
        // harness's limits are shorter, so the margin is reduced to two seconds.
        let run = Run::within(Some(time.saturating_add(Duration::from_secs(3))));
        let result = match self.function {
            Function::IngestUsageReport => deliver(&self.ingest, invocation.event, time).await,
            Function::IngestNodeUsage => deliver(&self.nodes, invocation.event, time).await,
            Function::ApplyUserUsageBilling => deliver(&self.billing, invocation.event, time).await,
            Function::HandlePackageExpiring => {
                deliver(&self.expiring, invocation.event, time).await
            }
            Function::DeliverPackageOrder => deliver(&self.orders, invocation.event, time).await,
            Function::Manage => self.answer(invocation.event, time).await,
            Function::BillTraffic => self.job(BillTrafficJob(run)).await,
            Function::ExpirePackages => self.job(PackageExpiringJob(run)).await,
            Function::ApplyPackageExtensions => self.job(ApplyPackageExtensionsJob(run)).await,
            Function::SummarizeUsage => self.job(SummarizeUsageJob(run)).await,
            Function::SweepOutbox => self.job(SweepOutboxJob(run)).await,
            Function::RefreshServerStatus => self.job(RefreshServerStatus(run)).await,
            Function::MaintainStorage => self.job(MaintainStorageJob(run)).await,
        };
        result.unwrap_or_else(|error| Outcome::Failed {
            error: format!("{error}: {:?}", error.cause()),
        })
    }

    async fn answer(&self, event: Option<Value>, time: Duration) -> Result<Outcome, Error> {
        let endpoints = self.endpoints.as_ref();
        let endpoints =
            endpoints.ok_or_else(|| Error::internal("this function serves no requests"))?;
        endpoints.answer(event, lambda_context(time)?).await
    }

    async fn job<J>(&self, job: J) -> Result<Outcome, Error>
    where
        TelecomCronExecutor: Processor<J, Output: Serialize>,
    {
        let report = self.cron.process(job).await?;
        Ok(Outcome::Done {
            report: serde_json::to_value(report).map_err(Error::internal)?,
        })
    }
}

async fn deliver<C: Consumer>(
    consumer: &C,
    event: Option<Value>,
    time: Duration,
) -> Result<Outcome, Error> {
    let event: SqsEvent =
        serde_json::from_value(event.unwrap_or_default()).map_err(Error::internal)?;
    let response = lambda::sqs::handle(consumer, event, &lambda_context(time)?).await?;
    let failed = response
        .batch_item_failures
        .into_iter()
        .map(|failure| failure.item_identifier);
    Ok(Outcome::Delivered {
        failed: failed.collect(),
    })
}

/// The context of an invocation that may take `time`.
fn lambda_context(time: Duration) -> Result<lambda_runtime::Context, Error> {
    let mut context = lambda_runtime::Context::default();
    let time_ms = i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
    let deadline_ms = System.now().timestamp_millis().saturating_add(time_ms);
    context.deadline = u64::try_from(deadline_ms).map_err(Error::internal)?;
    Ok(context)
}
