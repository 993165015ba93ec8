//! `BillTrafficJob`: claims unbilled reports, folds and bills them, and publishes what users are charged.

use async_trait::async_trait;
use serde::Serialize;

use super::{Run, TelecomCronExecutor};
use crate::db::billing;
use crate::db::outbox::OutboxMessage;
use crate::db::{self, Connection};
use crate::domain::traffic::{Traffic, UsageKey};
use crate::error::Error;
use crate::events::user_usage_billing::UserUsageBillingEvent;
use crate::services::Processor;
use crate::services::outbox::{self, Outbox};

/// Usage lines folded in one transaction: bounds memory, and how long a claim is held.
const MAX_LINES: i64 = 150_000;
/// Reports claimed in one transaction.
const MAX_REPORTS: i64 = 10_000;
/// Events packed into one message: SQS bills per 64 KiB and per request, and the consumer's work is per message.
const EVENTS_PER_MESSAGE: usize = 1_000;

/// The job.
#[derive(Debug, Clone, Copy)]
pub struct BillTrafficJob(pub Run);

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
}

#[async_trait]
impl Processor<BillTrafficJob> for TelecomCronExecutor {
    type Output = Billed;

    #[tracing::instrument(name = "bill_traffic", skip_all)]
    async fn process(&self, BillTrafficJob(run): BillTrafficJob) -> Result<Billed, Error> {
        let mut billed = Billed::default();
        let mut max_reports = MAX_REPORTS;
        while !run.deadline_is_near() {
            let step = match self.bill_some(max_reports).await {
                // Together they are more than can be counted. One alone never is: its limits see to that.
                Err(error) if error.is_overflow() && max_reports > 1 => {
                    max_reports /= 2;
                    continue;
                }
                step => step?,
            };
            if step.reports == 0 {
                billed.complete = true;
                break;
            }
            billed.reports += step.reports;
            billed.events += step.events;
            billed.messages += step.messages.len();
            outbox::send(&self.pool, &self.publisher, step.messages).await;
        }
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
    async fn bill_some(&self, max_reports: i64) -> Result<Step, Error> {
        db::write_tx(&self.pool, "bill_traffic", async |tx| self.claim_and_fold(tx, max_reports).await).await
    }

    async fn claim_and_fold(&self, tx: &mut Connection, max_reports: i64) -> Result<Step, Error> {
        let reports = billing::claim_reports(tx, self.context.ids.next_id(), max_reports, MAX_LINES).await?;
        if reports.is_empty() {
            return Ok(Step { reports: 0, events: 0, messages: Vec::new() });
        }
        let mut usage = billing::fold_usage(tx, &reports).await?;
        // By user: the messages of a run share at most a user, and their consumers hardly ever a lock.
        usage.sort_unstable_by_key(|(key, _)| *key);
        let events = usage.iter().map(event).collect::<Result<Vec<_>, _>>()?;
        let outbox = Outbox::new(&self.context, self.context.now());
        let messages = outbox.write_billing(tx, events.chunks(EVENTS_PER_MESSAGE)).await?;
        Ok(Step { reports: reports.len(), events: events.len(), messages })
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
