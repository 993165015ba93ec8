//! `HandlePackageExpiring`: consumes items that have indeed expired and activates the next items of
//! their owners.

use async_trait::async_trait;
use sqlx::PgPool;

use crate::app::{App, FromApp, StartError};
use crate::clock::Context;
use crate::db::{self, Connection, package_queue};
use crate::error::Error;
use crate::events::outbox::OutboxMessage;
use crate::events::package_expiring::PackageExpiringEvent;
use crate::events::publisher::Publisher;
use crate::services::outbox::{self, Outbox};
use crate::services::package_queue::advance_queues;
use crate::services::{Batch, Consumer, Outcomes, Processor, Received};

/// Consumer of route `telecom.package_expiring`.
#[derive(Debug, Clone)]
pub struct HandlePackageExpiring {
    pool: PgPool,
    publisher: Publisher,
    context: Context,
}

impl HandlePackageExpiring {
    /// Creates the service. `publisher` must be able to send to the package-expiring queue and to
    /// the event bus.
    #[must_use]
    pub fn new(pool: PgPool, publisher: Publisher, context: Context) -> Self {
        Self {
            pool,
            publisher,
            context,
        }
    }
}

#[async_trait]
impl FromApp for HandlePackageExpiring {
    async fn from_app(app: &App) -> Result<Self, StartError> {
        Ok(Self::new(
            app.database()?,
            app.publisher().await,
            app.context(),
        ))
    }
}

impl Consumer for HandlePackageExpiring {
    type Message = PackageExpiringEvent;

    fn parse(&self, _: &Received, body: &str) -> Result<PackageExpiringEvent, Error> {
        PackageExpiringEvent::parse(body)
    }
}

#[async_trait]
impl Processor<Batch<PackageExpiringEvent>> for HandlePackageExpiring {
    type Output = Outcomes;

    #[tracing::instrument(name = "handle_package_expiring", skip_all, fields(events = batch.len()))]
    async fn process(&self, batch: Batch<PackageExpiringEvent>) -> Result<Outcomes, Error> {
        let messages = db::write_tx(&self.pool, "handle_package_expiring", async |tx| {
            self.handle(tx, &batch).await
        })
        .await?;
        outbox::send(&self.pool, &self.publisher, messages).await;
        // An event is only a hint. An item that is no longer active, or no longer expired, is not
        // changed, and its event succeeds.
        Ok(batch.iter().map(|_| Ok(())).collect())
    }
}

impl HandlePackageExpiring {
    async fn handle(
        &self,
        tx: &mut Connection,
        batch: &Batch<PackageExpiringEvent>,
    ) -> Result<Vec<OutboxMessage>, Error> {
        let now = self.context.now();
        let items: Vec<i64> = batch.iter().map(|event| event.package_queue_id).collect();
        package_queue::lock_items(tx, &items).await?;
        let mut outbox = Outbox::new(&self.context, now);
        let advanced = advance_queues(tx, &mut outbox, &items, now).await?;
        let messages = outbox.write(tx).await?;
        tracing::info!(
            consumed = advanced.consumed.len(),
            activated = advanced.activated,
            "package items consumed and activated"
        );
        Ok(messages)
    }
}
