//! `SweepOutboxJob`: sends messages that their writers could not send, and counts the messages in
//! dead-letter queues.

use std::time::Duration;

use super::{Job, Run, TelecomCronExecutor};
use crate::db::{self, dead_letter, outbox as rows};
use crate::deadline;
use crate::domain::job_run::JobName;
use crate::error::Error;
use crate::events::outbox::OutboxMessage;
use crate::services::Processor;
use crate::services::outbox::{self, LEASE};
use crate::telemetry;
use async_trait::async_trait;
use serde::Serialize;

/// Maximum number of messages leased at a time. Each is at most a few hundred KiB.
const BATCH: i64 = 100;
/// Maximum time for counting dead letters. It is less than what a run reserves for its last step.
const MAX_COUNTING: Duration = Duration::from_secs(4);

/// Input of the job.
#[derive(Debug, Clone, Copy)]
pub struct SweepOutboxJob(pub Run);

impl Job for SweepOutboxJob {
    const NAME: JobName = JobName::SweepOutbox;
}

/// Result of a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Swept {
    /// Number of messages sent.
    pub sent: usize,
    /// Number of messages that could not be sent and stay in the outbox.
    pub failed: usize,
    /// Whether no message that was due is left.
    pub complete: bool,
    /// Number of messages in all dead-letter queues that could be counted.
    pub dead_letters: i64,
}

#[async_trait]
impl Processor<SweepOutboxJob> for TelecomCronExecutor {
    type Output = Swept;

    #[tracing::instrument(name = "sweep_outbox", skip_all)]
    async fn process(&self, SweepOutboxJob(run): SweepOutboxJob) -> Result<Swept, Error> {
        let mut swept = Swept::default();
        while !run.deadline_is_near() {
            let messages = self.lease().await?;
            if messages.is_empty() {
                swept.complete = swept.failed == 0;
                break;
            }
            let sent = outbox::send(&self.pool, &self.publisher, messages).await;
            swept.sent += sent.sent;
            swept.failed += sent.failed;
        }
        telemetry::count("OutboxMessagesSwept", swept.sent);
        let oldest = db::on_connection(&self.pool, rows::oldest).await?;
        telemetry::measure(
            "OutboxAgeSeconds",
            oldest.map_or(0, |oldest| (self.context.now() - oldest).num_seconds()),
        );
        if !run.deadline_is_near() {
            swept.dead_letters = self.count_dead_letters().await;
        }
        Ok(swept)
    }
}

impl TelecomCronExecutor {
    /// Counts and stores the messages in dead-letter queues. Returns their number. A failure is
    /// logged, because it concerns no message of the outbox.
    async fn count_dead_letters(&self) -> i64 {
        let counting = deadline::within(Some(MAX_COUNTING), async {
            let counts = self.publisher.count_dead_letters().await;
            if !counts.is_empty() {
                db::on_connection(&self.pool, async |connection| {
                    dead_letter::save_counts(connection, &counts, self.context.now()).await
                })
                .await?;
            }
            Ok(counts.iter().map(|(_, messages)| messages).sum())
        });
        counting.await.unwrap_or_else(|error| {
            tracing::warn!(%error, cause = error.cause(), "cannot count dead letters");
            0
        })
    }

    async fn lease(&self) -> Result<Vec<OutboxMessage>, Error> {
        let now = self.context.now();
        db::on_connection(&self.pool, async |connection| {
            rows::lease(connection, now, now + LEASE, BATCH).await
        })
        .await
    }
}
