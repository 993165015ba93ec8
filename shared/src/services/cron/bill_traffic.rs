//! `BillTrafficJob`: claims unbilled reports, aggregates and bills their usage, and publishes what
//! users are charged.

use std::time::Instant;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde::Serialize;
use tracing::field::Empty;
use uuid::Uuid;

use super::{Job, Run, TelecomCronExecutor};
use crate::db::billing::{self, ClaimedReport};
use crate::db::{self, Connection};
use crate::domain::job_run::JobName;
use crate::domain::traffic::{Traffic, UsageKey};
use crate::error::{Error, ErrorKind};
use crate::events::outbox::OutboxMessage;
use crate::events::user_usage_billing::UserUsageBillingEvent;
use crate::services::Processor;
use crate::services::outbox::{self, Outbox};
use crate::telemetry::{self, Cause, traced};

/// Maximum claim of one transaction, and the claim that a run begins with. It limits memory and the
/// duration of a transaction. A run does not begin with smaller claims, because these would contain
/// the same users several times, and the consumers of their messages would wait for each other's
/// locks.
const LARGEST_CLAIM: Claim = Claim {
    reports: 10_000,
    lines: 150_000,
};
/// Maximum number of events per message. They are packed together because SQS bills per 64 KiB and
/// per request, and the consumer does its work per message.
const EVENTS_PER_MESSAGE: usize = 1_000;

/// Input of the job.
#[derive(Debug, Clone, Copy)]
pub struct BillTrafficJob(pub Run);

impl Job for BillTrafficJob {
    const NAME: JobName = JobName::BillTraffic;
}

/// Maximum number of reports and lines that one transaction claims.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Claim {
    reports: i64,
    lines: i64,
}

impl Claim {
    /// Returns a claim four times as large, but at most [`LARGEST_CLAIM`].
    fn larger(self) -> Self {
        Self {
            reports: (self.reports * 4).min(LARGEST_CLAIM.reports),
            lines: (self.lines * 4).min(LARGEST_CLAIM.lines),
        }
    }

    /// Whether `reports`, which were claimed, are fewer than this maximum.
    fn exceeds(self, reports: &[ClaimedReport]) -> bool {
        let lines: i64 = reports
            .iter()
            .map(|report| i64::from(report.line_count))
            .sum();
        i64::try_from(reports.len()).is_ok_and(|count| count < self.reports) && lines < self.lines
    }

    /// Returns a quarter of this claim, but at least one report. `None` if this claim is already
    /// one report.
    fn smaller(self) -> Option<Self> {
        (self.reports > 1).then(|| Self {
            reports: (self.reports / 4).max(1),
            lines: (self.lines / 4).max(1),
        })
    }
}

/// Result of a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Billed {
    /// Number of reports billed.
    pub reports: usize,
    /// Number of events published or left to the sweep.
    pub events: usize,
    /// Number of messages that contain the events.
    pub messages: usize,
    /// Whether no unbilled report was left.
    pub complete: bool,
    /// Number of rows of parked usage that were charged.
    pub unparked: usize,
    /// Time since the arrival of the oldest report that is unbilled after the run, in seconds. 0 if
    /// all are billed. `None` if it could not be measured.
    pub lag_seconds: Option<i64>,
}

#[async_trait]
impl Processor<BillTrafficJob> for TelecomCronExecutor {
    type Output = Billed;

    #[tracing::instrument(name = "bill_traffic", skip_all)]
    async fn process(&self, BillTrafficJob(run): BillTrafficJob) -> Result<Billed, Error> {
        let mut began = Instant::now();
        let mut billed = self.bill_round(run).await?;
        // A user whose package is used up keeps a connection until the usage is billed.
        while run.next_round(began).await {
            began = Instant::now();
            billed = billed.and(self.bill_round(run).await?);
        }
        Ok(billed)
    }
}

impl Billed {
    /// The result of this round and of the one that followed it.
    fn and(self, next: Self) -> Self {
        Self {
            reports: self.reports + next.reports,
            events: self.events + next.events,
            messages: self.messages + next.messages,
            complete: next.complete,
            unparked: self.unparked + next.unparked,
            lag_seconds: next.lag_seconds,
        }
    }
}

impl TelecomCronExecutor {
    async fn bill_round(&self, run: Run) -> Result<Billed, Error> {
        let billed = self.bill(run).await;
        // Also after a failure, when it matters most how long reports have been waiting.
        let lag = self.measure_lag().await.inspect_err(|error| {
            tracing::warn!(%error, cause = error.cause(),
                "cannot measure the age of the oldest unbilled report");
        });
        Ok(Billed {
            lag_seconds: lag.ok(),
            ..billed?
        })
    }

    /// Time since the arrival of the oldest unbilled report, in seconds. 0 if all are billed.
    async fn measure_lag(&self) -> Result<i64, Error> {
        let oldest = db::on_connection(&self.pool, billing::oldest_unbilled).await?;
        let age = oldest.map_or(0, |oldest| (self.context.now() - oldest).num_seconds());
        telemetry::measure("UnbilledAgeSeconds", age);
        Ok(age)
    }

    async fn bill(&self, run: Run) -> Result<Billed, Error> {
        let mut billed = Billed::default();
        let mut claim = LARGEST_CLAIM;
        while !run.deadline_is_near() {
            let began = Instant::now();
            let step = match run.within_a_third(self.bill_some(claim)).await {
                Err(error)
                    if error.is_overflow() || error.kind() == ErrorKind::DeadlineExceeded =>
                {
                    // The sum of the claimed usage is out of range, or the database cannot bill the
                    // claim in time.
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
            if run.has_time_for(began.elapsed() * 20) {
                claim = claim.larger();
            }
            billed.reports += step.reports;
            billed.events += step.events;
            billed.messages += step.messages.len();
            outbox::send(&self.pool, &self.publisher, step.messages).await;
            if step.is_last {
                billed.complete = true;
                break;
            }
        }
        billed.unparked = self.retry_parked(run).await?;
        Ok(billed)
    }
}

#[derive(Default)]
struct Step {
    reports: usize,
    events: usize,
    messages: Vec<OutboxMessage>,
    /// Whether the claim found fewer reports than it may contain, so no unbilled report was left.
    is_last: bool,
}

impl TelecomCronExecutor {
    /// Claims and bills reports, and writes the messages, in one transaction.
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
                is_last: true,
                ..Step::default()
            });
        }
        let span = tracing::info_span!("bill_reports", trace_id = Empty);
        let causes: Vec<Cause> = reports.iter().filter_map(cause).collect();
        let step = traced(span, causes, self.fold(tx, run_id, now, &reports)).await?;
        Ok(Step {
            is_last: claim.exceeds(&reports),
            ..step
        })
    }

    /// Bills the claimed reports, and writes the messages, as part of the trace of one of them.
    async fn fold(
        &self,
        tx: &mut Connection,
        run_id: Uuid,
        now: DateTime<Utc>,
        reports: &[ClaimedReport],
    ) -> Result<Step, Error> {
        let mut usage = billing::fold_usage(tx, reports).await?;
        billing::insert_run(tx, run_id, now, reports.len(), &usage).await?;
        // Sorted by user, so that two messages of a run share at most one user, and their consumers
        // hardly ever wait for the same lock.
        usage.sort_unstable_by_key(|(key, _)| *key);
        let events = usage.iter().map(event).collect::<Result<Vec<_>, _>>()?;
        let outbox = Outbox::new(&self.context, now);
        let messages = outbox
            .write_billing(tx, run_id, events.chunks(EVENTS_PER_MESSAGE))
            .await?;
        let (reports, events) = (reports.len(), events.len());
        tracing::info!(reports, events, messages = messages.len(), %run_id, "reports folded");
        Ok(Step {
            reports,
            events,
            messages,
            ..Step::default()
        })
    }
}

fn cause(report: &ClaimedReport) -> Option<Cause> {
    Cause::of_header(report.trace.as_deref()?)
}

fn event((key, traffic): &(UsageKey, Traffic)) -> Result<UserUsageBillingEvent, Error> {
    Ok(UserUsageBillingEvent {
        server_id: key.node_server_id,
        user: key.user_id,
        billed_download: traffic.billed_download,
        billed_upload: traffic.billed_upload,
        time: u64::try_from(key.bucket_start.timestamp()).map_err(Error::internal)?,
        node_client_id: key.node_client_id,
        raw_download: raw_if_different(traffic.billed_download, traffic.raw_download),
        raw_upload: raw_if_different(traffic.billed_upload, traffic.raw_upload),
        event_id: None,
    })
}

/// Omits raw bytes that equal the billed bytes, which is the case for most clients (factor 1).
fn raw_if_different(billed: i64, raw: i64) -> Option<i64> {
    (raw != billed).then_some(raw)
}
