//! The pipeline as it runs: deliveries are ingested as they come, billing runs once a minute, and
//! what it publishes is applied.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use lambda_runtime::Context as Invocation;
use shared::clock::Context;
use shared::config::TelecomConfig;
use shared::lambda::sqs;
use shared::services::cron::bill_traffic::BillTrafficJob;
use shared::services::cron::{Run, TelecomCronExecutor};
use shared::services::queue::apply_user_usage_billing::TelecomBillingHook;
use shared::services::queue::ingest_usage_report::IngestUsageReports;
use shared::services::{Consumer, Processor};
use tokio::task::JoinSet;

use crate::database::{Database, fault};
use crate::messaging::{BILLING, Messaging};
use crate::profile::{Profile, Recorder, Stage};
use crate::workload::{Minute, delivery};

/// Messages in one delivery of billing events: 10,000 events. template.yaml allows twice as many,
/// which Lambda only gathers when they wait.
pub const MESSAGES_PER_DELIVERY: usize = 10;

/// The three functions: of each consumer as many as run at once, each with a connection of its own
/// as in its own process; of the job, one.
pub struct Pipeline {
    ingest: Vec<IngestUsageReports>,
    bill: TelecomCronExecutor,
    apply: Vec<TelecomBillingHook>,
    messaging: Messaging,
    recorder: Option<Recorder>,
    totals: Totals,
}

/// Work and time, by stage.
#[derive(Debug, Default)]
pub struct Totals {
    /// Usage rows ingested.
    pub rows: u64,
    /// Billing events made of them.
    pub events: u64,
    /// Messages that the events were packed into.
    pub messages: u64,
    /// From the delivery's bytes to the response.
    pub ingest: Duration,
    /// From the invocation to the report; everything was published.
    pub bill: Duration,
    /// As ingest.
    pub apply: Duration,
}

impl Totals {
    /// All three.
    pub fn end_to_end(&self) -> Duration {
        self.ingest + self.bill + self.apply
    }
}

impl Pipeline {
    /// Over a database.
    pub async fn new(
        database: &Database,
        messaging: &Messaging,
        consumers: usize,
        profile: bool,
    ) -> Result<Self> {
        let recorder = if profile {
            Some(Recorder::start(database).await?)
        } else {
            None
        };
        let (context, publisher) = (Context::system(), messaging.publisher().await);
        let ingest = || IngestUsageReports::new(database.pool(1), context.clone());
        let apply =
            || TelecomBillingHook::new(database.pool(1), publisher.clone(), context.clone());
        let config = TelecomConfig::default();
        Ok(Self {
            ingest: std::iter::repeat_with(ingest).take(consumers).collect(),
            apply: std::iter::repeat_with(apply).take(consumers).collect(),
            bill: TelecomCronExecutor::new(
                database.pool(1),
                publisher.clone(),
                context.clone(),
                config,
            ),
            messaging: messaging.clone(),
            recorder,
            totals: Totals::default(),
        })
    }

    /// Meters one minute of reports from acceptance to the updated packages.
    pub async fn minute(&mut self, minute: &Minute) -> Result<()> {
        self.totals.ingest += consume_all(&self.ingest, &minute.deliveries).await?;
        self.record(|profile| &mut profile.ingest).await?;
        let began = Instant::now();
        let billed = self
            .bill
            .process(BillTrafficJob(Run::within(None)))
            .await
            .map_err(fault)?;
        self.totals.bill += began.elapsed();
        self.record(|profile| &mut profile.bill).await?;
        let bodies = self.messaging.take(BILLING)?;
        ensure!(
            bodies.len() == billed.messages,
            "{} messages were billed, {} published.",
            billed.messages,
            bodies.len()
        );
        let deliveries: Vec<_> = bodies
            .chunks(MESSAGES_PER_DELIVERY)
            .map(delivery)
            .collect::<Result<_>>()?;
        self.totals.apply += consume_all(&self.apply, &deliveries).await?;
        self.record(|profile| &mut profile.apply).await?;
        self.totals.rows += u64::try_from(minute.rows.len())?;
        self.totals.events += u64::try_from(billed.events)?;
        self.totals.messages += u64::try_from(billed.messages)?;
        Ok(())
    }

    /// Runs once without being counted: connections, prepared statements, caches.
    pub async fn warm_up(&mut self, minute: &Minute) -> Result<()> {
        self.minute(minute).await?;
        self.totals = Totals::default();
        if let Some(recorder) = &mut self.recorder {
            recorder.profile = Profile::default();
        }
        Ok(())
    }

    /// What was done, and the statements of each stage if they were to be recorded.
    pub fn finish(self) -> (Totals, Option<Profile>) {
        (self.totals, self.recorder.map(|recorder| recorder.profile))
    }

    async fn record(&mut self, stage: impl FnOnce(&mut Profile) -> &mut Stage) -> Result<()> {
        match &mut self.recorder {
            Some(recorder) => recorder.record(stage).await,
            None => Ok(()),
        }
    }
}

/// Hands out deliveries to consumers, each taking the next when it is done; answers the time from
/// the first to the last.
async fn consume_all<C>(consumers: &[C], deliveries: &[Vec<u8>]) -> Result<Duration>
where
    C: Consumer + Clone + Send + Sync + 'static,
{
    let next = Arc::new(AtomicUsize::new(0));
    let deliveries: Arc<[Vec<u8>]> = deliveries.into();
    let began = Instant::now();
    let mut workers = JoinSet::new();
    for consumer in consumers {
        let (consumer, next, deliveries) =
            (consumer.clone(), Arc::clone(&next), Arc::clone(&deliveries));
        workers.spawn(async move {
            while let Some(event) = deliveries.get(next.fetch_add(1, Ordering::Relaxed)) {
                consume(&consumer, event).await?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(worker) = workers.join_next().await {
        worker.context("A consumer panicked.")??;
    }
    Ok(began.elapsed())
}

/// Hands a delivery to a consumer as the runtime does, from its bytes to the bytes of the response.
pub async fn consume<C: Consumer>(consumer: &C, event: &[u8]) -> Result<()> {
    let event = serde_json::from_slice(event).context("The delivery is no SqsEvent.")?;
    let response = sqs::handle(consumer, event, &Invocation::default())
        .await
        .map_err(fault)?;
    let answer = serde_json::to_vec(&response)?;
    ensure!(
        response.batch_item_failures.is_empty(),
        "Messages failed: {}",
        String::from_utf8_lossy(&answer)
    );
    Ok(())
}
