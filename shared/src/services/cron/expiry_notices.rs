//! Publishes that the time of active items ends soon. This is a part of the job that expires
//! packages.

use super::{Run, TelecomCronExecutor};
use crate::db::{self, Connection, expiry_notice};
use crate::domain::expiry_notice::{EndingItem, Notice};
use crate::error::Error;
use crate::events::facts::Fact;
use crate::events::outbox::OutboxMessage;
use crate::services::outbox::{self, Outbox};

/// Maximum number of items in one transaction. Charges of these items wait for it.
const BATCH: i64 = 1_000;
const BATCH_FULL: usize = 1_000;
/// Maximum number of transactions in one run, so that a backlog is spread over several minutes.
const MAX_BATCHES: usize = 50;

/// What one transaction did.
struct Batch {
    checked: usize,
    published: usize,
    messages: Vec<OutboxMessage>,
}

impl TelecomCronExecutor {
    /// Publishes the notices that are due, until the deadline is near. Returns their number. What
    /// is left is found by the next run.
    ///
    /// No lock of the job is needed. Concurrent runs skip each other's locked items, and an item
    /// that another run has checked is no longer due.
    pub(super) async fn publish_expiry_notices(&self, run: Run) -> Result<usize, Error> {
        let mut published = 0;
        if self.config.expiry_notice_hours.is_empty() {
            return Ok(published);
        }
        for _ in 0..MAX_BATCHES {
            if run.deadline_is_near() {
                break;
            }
            let batch = db::write_tx(&self.pool, "publish_expiry_notices", async |tx| {
                self.check_batch(tx).await
            })
            .await?;
            outbox::send(&self.pool, &self.publisher, batch.messages).await;
            published += batch.published;
            if batch.checked < BATCH_FULL {
                break;
            }
        }
        Ok(published)
    }

    async fn check_batch(&self, tx: &mut Connection) -> Result<Batch, Error> {
        let now = self.context.now();
        let checked: Vec<(EndingItem, Notice)> = expiry_notice::lock_due(tx, now, BATCH)
            .await?
            .into_iter()
            .map(|item| (item, item.notice(&self.config.expiry_notice_hours, now)))
            .collect();
        let mut outbox = Outbox::new(&self.context, now);
        for (item, notice) in &checked {
            let Some(hours) = notice.hours else { continue };
            outbox.fact(&Fact::PackageExpiringSoon {
                user: item.user_id,
                package_queue_id: item.id,
                hours,
                expires_at: item.expires_at,
            })?;
        }
        if !checked.is_empty() {
            expiry_notice::record(tx, &checked).await?;
        }
        let messages = outbox.write(tx).await?;
        Ok(Batch {
            checked: checked.len(),
            published: messages.len(),
            messages,
        })
    }
}
