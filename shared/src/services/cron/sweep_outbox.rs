//! `SweepOutboxJob`: sends messages that their writers could not send.

use super::{Run, TelecomCronExecutor};
use crate::db::{self, outbox as rows};
use crate::error::Error;
use crate::events::outbox::OutboxMessage;
use crate::services::Processor;
use crate::services::outbox::{self, LEASE};
use crate::telemetry;
use async_trait::async_trait;
use serde::Serialize;

/// Maximum number of messages leased at a time. Each is at most a few hundred KiB.
const BATCH: i64 = 100;

/// Input of the job.
#[derive(Debug, Clone, Copy)]
pub struct SweepOutboxJob(pub Run);

/// Result of a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Swept {
    /// Number of messages sent.
    pub sent: usize,
    /// Number of messages that could not be sent and stay in the outbox.
    pub failed: usize,
    /// Whether no message that was due is left.
    pub complete: bool,
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
        Ok(swept)
    }
}

impl TelecomCronExecutor {
    async fn lease(&self) -> Result<Vec<OutboxMessage>, Error> {
        let now = self.context.now();
        db::on_connection(&self.pool, async |connection| {
            rows::lease(connection, now, now + LEASE, BATCH).await
        })
        .await
    }
}
