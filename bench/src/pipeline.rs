//! The pipeline: deliveries are ingested as they arrive, billing runs once per minute, and its
//! messages are applied.

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

use crate::cost::{Cost, Meter};
use crate::database::{Database, fault};
use crate::messaging::{BILLING, Messaging};
use crate::profile::{Profile, Recorder, Stage};
use crate::requests::{Invocations, sqs_requests};
use crate::workload::{Minute, deliveries};

/// Messages per delivery of billing events, which is 10,000 events. template.yaml allows twice as
/// many, which Lambda collects only when messages are waiting.
pub const MESSAGES_PER_DELIVERY: usize = 10;

/// The three functions: the configured number of instances of each consumer, each with its own
/// connection, and one instance of the job.
pub struct Pipeline {
    ingest: Vec<IngestUsageReports>,
    bill: TelecomCronExecutor,
    apply: Vec<TelecomBillingHook>,
    messaging: Messaging,
    recorder: Option<Recorder>,
    meter: Meter,
    totals: Totals,
}

#[derive(Debug, Default)]
pub struct Totals {
    /// Number of usage rows ingested.
    pub rows: u64,
    /// Number of billing events for these rows.
    pub events: u64,
    /// Number of messages that contained these events.
    pub messages: u64,
    /// Time from the delivery's bytes to the response.
    pub ingest: Duration,
    /// Time from the invocation to its end, when everything is published.
    pub bill: Duration,
    /// Time from a billing delivery's bytes to the response.
    pub apply: Duration,
    pub ingest_cost: Cost,
    pub bill_cost: Cost,
    pub apply_cost: Cost,
    /// Requests that SQS bills for the usage reports.
    pub report_requests: usize,
    /// Requests that SQS bills for the billing events.
    pub billing_requests: usize,
    pub invocations: Invocations,
}

impl Totals {
    pub fn end_to_end(&self) -> Duration {
        self.ingest + self.bill + self.apply
    }

    /// Usage rows per second in this time.
    #[expect(
        clippy::as_conversions,
        clippy::cast_precision_loss,
        reason = "a count far below 2^52"
    )]
    pub fn rate(&self, time: Duration) -> f64 {
        self.rows as f64 / time.as_secs_f64()
    }

    /// What all stages used.
    pub fn cost(&self) -> Cost {
        let stages = [self.ingest_cost, self.bill_cost, self.apply_cost];
        stages.into_iter().fold(Cost::default(), |sum, cost| Cost {
            ours: sum.ours + cost.ours,
            database: sum.database + cost.database,
            wal_bytes: sum.wal_bytes + cost.wal_bytes,
            wal_syncs: sum.wal_syncs + cost.wal_syncs,
        })
    }
}

impl Pipeline {
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
        let mut pools = Vec::new();
        let mut pool = || {
            let pool = database.pool(1);
            pools.push(pool.clone());
            pool
        };
        let ingest = (0..consumers)
            .map(|_| IngestUsageReports::new(pool(), context.clone()))
            .collect();
        let apply = (0..consumers)
            .map(|_| TelecomBillingHook::new(pool(), publisher.clone(), context.clone()))
            .collect();
        let config = TelecomConfig::default();
        let bill = TelecomCronExecutor::new(pool(), publisher, context, config);
        Ok(Self {
            ingest,
            bill,
            apply,
            messaging: messaging.clone(),
            recorder,
            meter: Meter::start(database).await?.with_pools(pools),
            totals: Totals::default(),
        })
    }

    /// Processes one minute of reports from ingestion to the updated packages.
    pub async fn minute(&mut self, minute: &Minute) -> Result<()> {
        self.meter.skip().await?;
        let (time, invocations) = consume_all(&self.ingest, &minute.deliveries).await?;
        self.totals.ingest += time;
        self.totals.invocations += invocations;
        self.meter.add_to(&mut self.totals.ingest_cost).await?;
        self.record(|profile| &mut profile.ingest).await?;
        self.meter.skip().await?;
        let began = Instant::now();
        let billed = self
            .bill
            .process(BillTrafficJob(Run::within(None)))
            .await
            .map_err(fault)?;
        let time = began.elapsed();
        self.totals.bill += time;
        self.totals.invocations.add(time);
        self.meter.add_to(&mut self.totals.bill_cost).await?;
        self.record(|profile| &mut profile.bill).await?;
        let requests = self.messaging.take_requests(BILLING)?;
        let bodies = requests.concat();
        ensure!(
            bodies.len() == billed.messages,
            "Billing created {} messages, but {} were published.",
            billed.messages,
            bodies.len()
        );
        let deliveries = deliveries(&bodies, MESSAGES_PER_DELIVERY)?;
        self.meter.skip().await?;
        let (time, invocations) = consume_all(&self.apply, &deliveries).await?;
        self.totals.apply += time;
        self.totals.invocations += invocations;
        self.meter.add_to(&mut self.totals.apply_cost).await?;
        self.record(|profile| &mut profile.apply).await?;
        self.totals.rows += u64::try_from(minute.rows.len())?;
        self.totals.events += u64::try_from(billed.events)?;
        self.totals.messages += u64::try_from(billed.messages)?;
        self.totals.report_requests += minute.requests;
        let requests = requests.iter().map(Vec::as_slice);
        self.totals.billing_requests += sqs_requests(requests, &bodies);
        Ok(())
    }

    /// Processes one minute without counting it, to warm up connections, prepared statements and
    /// caches.
    pub async fn warm_up(&mut self, minute: &Minute) -> Result<()> {
        self.minute(minute).await?;
        self.totals = Totals::default();
        if let Some(recorder) = &mut self.recorder {
            recorder.profile = Profile::default();
        }
        Ok(())
    }

    /// Returns the totals and begins new ones.
    pub fn take_totals(&mut self) -> Totals {
        std::mem::take(&mut self.totals)
    }

    /// The totals, and the profile if it was enabled.
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

/// Distributes deliveries to concurrent consumers, each of which takes the next one when it is
/// done. Returns the total time and the invocations.
async fn consume_all<C>(consumers: &[C], deliveries: &[Vec<u8>]) -> Result<(Duration, Invocations)>
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
            let mut invocations = Invocations::default();
            while let Some(event) = deliveries.get(next.fetch_add(1, Ordering::Relaxed)) {
                let began = Instant::now();
                consume(&consumer, event).await?;
                invocations.add(began.elapsed());
            }
            anyhow::Ok(invocations)
        });
    }
    let mut invocations = Invocations::default();
    while let Some(worker) = workers.join_next().await {
        invocations += worker.context("A consumer panicked.")??;
    }
    Ok((began.elapsed(), invocations))
}

/// Passes a delivery to a consumer as the runtime does, from its bytes to the bytes of the
/// response.
pub async fn consume<C: Consumer>(consumer: &C, event: &[u8]) -> Result<()> {
    let event = serde_json::from_slice(event).context("The delivery is not an SqsEvent.")?;
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
