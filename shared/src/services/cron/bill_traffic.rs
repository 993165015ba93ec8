//! `BillTrafficJob`: claims unbilled reports, folds and bills them, and publishes what users are
//! charged.

use std::time::Instant;

use async_trait::async_trait;
use serde::Serialize;

use super::{Run, TelecomCronExecutor};
use crate::db::billing;
use crate::db::{self, Connection};
use crate::domain::traffic::{Traffic, UsageKey};
use crate::error::{Error, ErrorKind};
use crate::events::outbox::OutboxMessage;
use crate::events::user_usage_billing::UserUsageBillingEvent;
use crate::services::Processor;
use crate::services::outbox::{self, Outbox};
use crate::telemetry;

/// The most that one transaction claims, and what the first one of a run claims. It bounds memory,
/// and how long a claim is held. A run begins with it, because several small claims would name the
/// same users several times, and their messages would wait for each other's locks.
const LARGEST_CLAIM: Claim = Claim {
    reports: 10_000,
    lines: 150_000,
};
/// Events packed into one message: SQS bills per 64 KiB and per request, and the consumer's work is
/// per message.
const EVENTS_PER_MESSAGE: usize = 1_000;

/// The job.
#[derive(Debug, Clone, Copy)]
pub struct BillTrafficJob(pub Run);

/// How much one transaction may claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Claim {
    reports: i64,
    lines: i64,
}

impl Claim {
    /// Four times as much, up to [`LARGEST_CLAIM`].
    fn larger(self) -> Self {
        Self {
            reports: (self.reports * 4).min(LARGEST_CLAIM.reports),
            lines: (self.lines * 4).min(LARGEST_CLAIM.lines),
        }
    }

    /// A quarter of it, but at least one report; `None` if it cannot be less.
    fn smaller(self) -> Option<Self> {
        (self.reports > 1).then(|| Self {
            reports: (self.reports / 4).max(1),
            lines: (self.lines / 4).max(1),
        })
    }
}

/// How far the job came.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Billed {
    /// Reports billed.
    pub reports: usize,
    /// Events published, or left to the sweep.
    pub events: usize,
    /// Messages that hold them.
    pub messages: usize,
    /// Nothing was left to bill.
    pub complete: bool,
    /// Rows of parked usage that could be charged after all.
    pub unparked: usize,
}

#[async_trait]
impl Processor<BillTrafficJob> for TelecomCronExecutor {
    type Output = Billed;

    #[tracing::instrument(name = "bill_traffic", skip_all)]
    async fn process(&self, BillTrafficJob(run): BillTrafficJob) -> Result<Billed, Error> {
        let billed = self.bill(run).await;
        // After a failure, too: then more than ever it must be known how long reports wait.
        if let Err(error) = self.measure_lag().await {
            tracing::warn!(%error, cause = error.cause(),
                "cannot measure the age of the oldest unbilled report");
        }
        billed
    }
}

impl TelecomCronExecutor {
    async fn measure_lag(&self) -> Result<(), Error> {
        let oldest = db::on_connection(&self.pool, async |connection| {
            billing::oldest_unbilled(connection).await
        })
        .await?;
        let age = oldest.map_or(0, |oldest| (self.context.now() - oldest).num_seconds());
        telemetry::measure("UnbilledAgeSeconds", age);
        Ok(())
    }

    async fn bill(&self, run: Run) -> Result<Billed, Error> {
        let mut billed = Billed::default();
        let mut claim = LARGEST_CLAIM;
        while !run.deadline_is_near() {
            let began = Instant::now();
            let step = match run.at_most_a_third(self.bill_some(claim)).await {
                Err(error)
                    if error.is_overflow() || error.kind() == ErrorKind::DeadlineExceeded =>
                {
                    // Together they are more than can be counted, or than the database bills in
                    // time.
                    match claim.smaller() {
                        Some(smaller) => claim = smaller,
                        None if billed.reports > 0 => break,
                        None => return Err(error),
                    }
                    tracing::warn!(
                        reports = claim.reports,
                        lines = claim.lines,
                        "claiming fewer reports per transaction"
                    );
                    continue;
                }
                step => step?,
            };
            if step.reports == 0 {
                billed.complete = true;
                break;
            }
            if run.has_time_for(began.elapsed() * 20) {
                claim = claim.larger();
            }
            billed.reports += step.reports;
            billed.events += step.events;
            billed.messages += step.messages.len();
            outbox::send(&self.pool, &self.publisher, step.messages).await;
        }
        billed.unparked = self.retry_parked(run).await?;
        Ok(billed)
    }
}

struct Step {
    reports: usize,
    events: usize,
    messages: Vec<OutboxMessage>,
}

impl TelecomCronExecutor {
    /// One transaction: a claim, its fold, and the messages that say so.
    async fn bill_some(&self, claim: Claim) -> Result<Step, Error> {
        db::write_tx(&self.pool, "bill_traffic", async |tx| {
            self.claim_and_fold(tx, claim).await
        })
        .await
    }

    async fn claim_and_fold(&self, tx: &mut Connection, claim: Claim) -> Result<Step, Error> {
        let (run_id, now) = (self.context.ids.next_id(), self.context.now());
        let reports = billing::claim_reports(tx, run_id, claim.reports, claim.lines).await?;
        if reports.is_empty() {
            return Ok(Step {
                reports: 0,
                events: 0,
                messages: Vec::new(),
            });
        }
        let mut usage = billing::fold_usage(tx, &reports).await?;
        billing::insert_run(tx, run_id, now, reports.len(), &usage).await?;
        // By user: the messages of a run share at most a user, and their consumers hardly ever a
        // lock.
        usage.sort_unstable_by_key(|(key, _)| *key);
        let events = usage.iter().map(event).collect::<Result<Vec<_>, _>>()?;
        let outbox = Outbox::new(&self.context, now);
        let messages = outbox
            .write_billing(tx, run_id, events.chunks(EVENTS_PER_MESSAGE))
            .await?;
        Ok(Step {
            reports: reports.len(),
            events: events.len(),
            messages,
        })
    }
}

fn event((key, traffic): &(UsageKey, Traffic)) -> Result<UserUsageBillingEvent, Error> {
    Ok(UserUsageBillingEvent {
        server_id: key.node_server_id,
        user: key.user_id,
        billed_download: traffic.billed_download,
        billed_upload: traffic.billed_upload,
        time: u64::try_from(key.bucket_start.timestamp()).map_err(Error::internal)?,
        node_client_id: key.node_client_id,
        raw_download: unless(traffic.billed_download, traffic.raw_download),
        raw_upload: unless(traffic.billed_upload, traffic.raw_upload),
        event_id: None,
    })
}

/// Absent, raw bytes count as many as billed ones: most clients have a factor of one.
fn unless(billed: i64, raw: i64) -> Option<i64> {
    (raw != billed).then_some(raw)
}
