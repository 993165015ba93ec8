//! `SweepOutboxJob`: sends what its writer could not.

use super::{Run, TelecomCronExecutor};
use crate::db::{self, outbox as rows};
use crate::error::Error;
use crate::services::Processor;
use crate::services::outbox::{self, LEASE, Sent};
use crate::telemetry;
use async_trait::async_trait;

/// Messages leased at a time; each is at most a few hundred KiB.
const BATCH: i64 = 100;

/// The job.
#[derive(Debug, Clone, Copy)]
pub struct SweepOutboxJob(pub Run);

#[async_trait]
impl Processor<SweepOutboxJob> for TelecomCronExecutor {
    type Output = Sent;

    #[tracing::instrument(name = "sweep_outbox", skip_all)]
    async fn process(&self, SweepOutboxJob(run): SweepOutboxJob) -> Result<Sent, Error> {
        let mut swept = Sent::default();
        while !run.deadline_is_near() {
            let messages = self.lease().await?;
            if messages.is_empty() {
                break;
            }
            let sent = outbox::send(&self.pool, &self.publisher, messages).await;
            swept.sent += sent.sent;
            swept.failed += sent.failed;
        }
        telemetry::count("OutboxMessagesSwept", swept.sent);
        let oldest = db::on_connection(&self.pool, async |connection| rows::oldest(connection).await).await?;
        telemetry::gauge("OutboxAgeSeconds", oldest.map_or(0, |oldest| (self.context.now() - oldest).num_seconds()));
        Ok(swept)
    }
}

impl TelecomCronExecutor {
    async fn lease(&self) -> Result<Vec<rows::OutboxMessage>, Error> {
        let now = self.context.now();
        db::on_connection(&self.pool, async |connection| rows::lease(connection, now, now + LEASE, BATCH).await).await
    }
}
