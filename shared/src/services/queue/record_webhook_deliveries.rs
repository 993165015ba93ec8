//! `RecordWebhookDeliveries`: records a delivery of each fact to each webhook that wants it. Sends
//! no request, so that no receiver can delay it.

use async_trait::async_trait;
use sqlx::PgPool;

use crate::app::{App, FromApp, StartError};
use crate::clock::Context;
use crate::db::{self, webhook_delivery};
use crate::domain::dead_letter::Queue;
use crate::domain::webhook::retry::RETRIED_FOR;
use crate::error::Error;
use crate::events::webhook::fact::WebhookFact;
use crate::services::idempotency::first_of_each_key;
use crate::services::{Batch, Consumer, Outcomes, Processor, Received};

/// Consumer of the facts that the event bus passes to the queue `webhook-event`.
#[derive(Debug, Clone)]
pub struct RecordWebhookDeliveries {
    pool: PgPool,
    context: Context,
}

impl RecordWebhookDeliveries {
    /// Creates a consumer that uses the database of `pool`.
    #[must_use]
    pub fn new(pool: PgPool, context: Context) -> Self {
        Self { pool, context }
    }
}

#[async_trait]
impl FromApp for RecordWebhookDeliveries {
    async fn from_app(app: &App) -> Result<Self, StartError> {
        Ok(Self::new(app.database()?, app.context()))
    }
}

impl Consumer for RecordWebhookDeliveries {
    const QUEUE: Queue = Queue::WebhookEvent;

    type Message = WebhookFact;

    fn parse(&self, _: &Received, body: &str) -> Result<WebhookFact, Error> {
        WebhookFact::parse(body)
    }
}

#[async_trait]
impl Processor<Batch<WebhookFact>> for RecordWebhookDeliveries {
    type Output = Outcomes;

    #[tracing::instrument(name = "record_webhook_deliveries", skip_all,
        fields(facts = batch.len()))]
    async fn process(&self, batch: Batch<WebhookFact>) -> Result<Outcomes, Error> {
        // In the order of ids, so that two deliveries of the queue cannot wait for each other.
        let facts = first_of_each_key(batch.iter().map(AsRef::as_ref), |fact| fact.event_id);
        let facts: Vec<&WebhookFact> = facts.into_values().collect();
        let now = self.context.now();
        let recorded = db::write_tx(&self.pool, "record_webhook_deliveries", async |tx| {
            webhook_delivery::record(tx, &facts, now, now + RETRIED_FOR).await
        })
        .await?;
        tracing::info!(recorded, "deliveries recorded");
        Ok(batch.iter().map(|_| Ok(())).collect())
    }
}
