//! Retries parked usage, which can be charged when the cause of the failure is gone. This is a part
//! of the billing job.

use std::collections::HashMap;

use uuid::Uuid;

use super::{Run, TelecomCronExecutor};
use crate::db::parked_event::{self, Parked, ParkedEvent};
use crate::db::{self, Connection};
use crate::domain::traffic::Traffic;
use crate::error::Error;
use crate::events::outbox::OutboxMessage;
use crate::services::charge::{self, Usage};
use crate::services::outbox;
use crate::telemetry;

/// Maximum number of rows in one transaction.
const BATCH: i64 = 500;
/// Maximum number of transactions in one run. Parked usage is rare, and billing has priority.
const MAX_BATCHES: usize = 20;

impl TelecomCronExecutor {
    /// Retries parked usage that is due. Returns the number of rows charged.
    pub(super) async fn retry_parked(&self, run: Run) -> Result<usize, Error> {
        let mut parked = self.count_parked().await?;
        let mut charged = 0;
        // Almost always nothing is parked, and then one statement is enough.
        if parked.rows > 0 {
            charged = self.retry_batches(run).await?;
            parked = self.count_parked().await?;
        }
        telemetry::measure("ParkedEvents", parked.rows);
        let age = parked.oldest_at.map_or(0, |oldest_at| {
            (self.context.now() - oldest_at).num_seconds()
        });
        telemetry::measure("ParkedEventsAgeSeconds", age);
        Ok(charged)
    }

    async fn count_parked(&self) -> Result<Parked, Error> {
        db::on_connection(&self.pool, parked_event::count).await
    }

    async fn retry_batches(&self, run: Run) -> Result<usize, Error> {
        let mut charged = 0;
        for _ in 0..MAX_BATCHES {
            if run.deadline_is_near() {
                break;
            }
            let batch = db::write_tx(&self.pool, "retry_parked_events", async |tx| {
                self.retry_batch(tx).await
            });
            let Some((rows, messages)) = batch.await? else {
                break;
            };
            outbox::send(&self.pool, &self.publisher, messages).await;
            charged += rows;
        }
        Ok(charged)
    }

    /// Retries one batch. Returns the number of rows charged and the messages to send, or `None` if
    /// nothing is due.
    async fn retry_batch(
        &self,
        tx: &mut Connection,
    ) -> Result<Option<(usize, Vec<OutboxMessage>)>, Error> {
        let now = self.context.now();
        let mut usage = Usage::new();
        let mut due = parked_event::lock_due(tx, now, BATCH).await?;
        due.retain(|event| add(&mut usage, event));
        if due.is_empty() {
            return Ok(None);
        }
        let (messages, refused) = charge::separately(
            tx,
            &self.context,
            &self.config.quota_thresholds_percent,
            &usage,
        )
        .await?;
        let reasons: HashMap<Uuid, String> = refused
            .into_iter()
            .map(|refused| (refused.user_id, refused.reason))
            .collect();
        let (left, charged): (Vec<&ParkedEvent>, Vec<&ParkedEvent>) = due
            .iter()
            .partition(|event| reasons.contains_key(&event.key.user_id));
        let reasons: Vec<String> = left
            .iter()
            .map(|event| reasons.get(&event.key.user_id).cloned().unwrap_or_default())
            .collect();
        parked_event::postpone(tx, &left, &reasons, now).await?;
        parked_event::delete(tx, &charged).await?;
        Ok(Some((charged.len(), messages)))
    }
}

/// Adds parked usage. Returns `false` if the sum would be out of range. The event then waits for
/// the next batch.
fn add(usage: &mut Usage, event: &ParkedEvent) -> bool {
    let sum: &mut Traffic = usage.entry(event.key).or_default();
    sum.checked_add(event.traffic)
        .map(|total| *sum = total)
        .is_some()
}
