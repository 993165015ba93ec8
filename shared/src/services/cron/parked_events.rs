//! Parked usage is charged when its cause is gone: a part of the billing job.

use std::collections::HashMap;

use uuid::Uuid;

use super::{Run, TelecomCronExecutor};
use crate::db::parked_event::{self, ParkedEvent};
use crate::db::{self, Connection};
use crate::domain::traffic::Traffic;
use crate::error::Error;
use crate::events::outbox::OutboxMessage;
use crate::services::charge::{self, Usage};
use crate::services::outbox;
use crate::telemetry;

/// Rows tried in one transaction.
const BATCH: i64 = 500;
/// Transactions in one run: what is parked is rare, and billing comes first.
const MOST_BATCHES: usize = 20;

impl TelecomCronExecutor {
    /// Tries parked usage that is due, and returns how many rows were charged.
    pub(super) async fn retry_parked(&self, run: Run) -> Result<usize, Error> {
        let mut charged = 0;
        for _ in 0..MOST_BATCHES {
            if run.deadline_is_near() {
                break;
            }
            let tried = db::write_tx(&self.pool, "retry_parked_events", async |tx| {
                self.retry_some(tx).await
            });
            let Some((rows, messages)) = tried.await? else {
                break;
            };
            outbox::send(&self.pool, &self.publisher, messages).await;
            charged += rows;
        }
        let parked = db::on_connection(&self.pool, async |connection| {
            parked_event::count(connection).await
        })
        .await?;
        telemetry::measure("ParkedEvents", parked.rows);
        let age = parked.oldest_at.map_or(0, |oldest_at| {
            (self.context.now() - oldest_at).num_seconds()
        });
        telemetry::measure("ParkedEventsAgeSeconds", age);
        Ok(charged)
    }

    /// `None` if nothing is due.
    async fn retry_some(
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
        let (messages, refused) = charge::apart(tx, &self.context, &usage).await?;
        let reasons: HashMap<Uuid, String> = refused
            .into_iter()
            .map(|refused| (refused.user_id, refused.reason))
            .collect();
        let (left, charged): (Vec<&ParkedEvent>, Vec<&ParkedEvent>) = due
            .iter()
            .partition(|event| reasons.contains_key(&event.key.user_id));
        let ids = |events: &[&ParkedEvent]| events.iter().map(|event| event.id).collect::<Vec<_>>();
        let reasons: Vec<String> = left
            .iter()
            .map(|event| reasons.get(&event.key.user_id).cloned().unwrap_or_default())
            .collect();
        parked_event::postpone(tx, &ids(&left), &reasons, now).await?;
        parked_event::delete(tx, &ids(&charged)).await?;
        Ok(Some((charged.len(), messages)))
    }
}

/// Adds parked usage; `false` if the sum would be more than can be counted: then it waits for the
/// next batch.
fn add(usage: &mut Usage, event: &ParkedEvent) -> bool {
    let sum: &mut Traffic = usage.entry(event.key).or_default();
    sum.checked_add(event.traffic)
        .map(|total| *sum = total)
        .is_some()
}
