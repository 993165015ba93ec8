//! `HandlePackageExpiring`: consumes items that have indeed expired and activates the next items of
//! their owners.

use async_trait::async_trait;
use sqlx::PgPool;

use crate::app::{App, FromApp, StartError};
use crate::clock::Context;
use crate::db::package_queue::{self, Item};
use crate::domain::dead_letter::Queue;
use crate::error::Error;
use crate::events::package_expiring::PackageExpiringEvent;
use crate::events::publisher::Publisher;
use crate::services::outbox::Transactions;
use crate::services::package_queue::advance_queues;
use crate::services::{Batch, Consumer, Outcomes, Processor, Received};

/// Consumer of route `telecom.package_expiring`.
#[derive(Debug, Clone)]
pub struct HandlePackageExpiring(Transactions);

impl HandlePackageExpiring {
    /// Creates the service. `publisher` must be able to send to the package-expiring queue and to
    /// the event bus.
    #[must_use]
    pub fn new(pool: PgPool, publisher: Publisher, context: Context) -> Self {
        Self(Transactions::new(pool, publisher, context))
    }
}

#[async_trait]
impl FromApp for HandlePackageExpiring {
    async fn from_app(app: &App) -> Result<Self, StartError> {
        Transactions::from_app(app).await.map(Self)
    }
}

impl Consumer for HandlePackageExpiring {
    type Message = PackageExpiringEvent;
    const QUEUE: Queue = Queue::PackageExpiring;

    fn parse(&self, _: &Received, body: &str) -> Result<PackageExpiringEvent, Error> {
        PackageExpiringEvent::parse(body)
    }
}

#[async_trait]
impl Processor<Batch<PackageExpiringEvent>> for HandlePackageExpiring {
    type Output = Outcomes;

    #[tracing::instrument(name = "handle_package_expiring", skip_all, fields(events = batch.len()))]
    async fn process(&self, batch: Batch<PackageExpiringEvent>) -> Result<Outcomes, Error> {
        let items: Vec<Item> = batch
            .iter()
            .map(|event| Item {
                id: event.package_queue_id,
                user_id: event.user,
            })
            .collect();
        let advanced = self
            .0
            .run("handle_package_expiring", async |tx, outbox| {
                package_queue::lock_items(tx, &items).await?;
                let now = outbox.now();
                advance_queues(tx, outbox, &items, now).await
            })
            .await?;
        tracing::info!(
            consumed = advanced.consumed.len(),
            activated = advanced.activated,
            "package items consumed and activated"
        );
        // An event is only a hint. An item that is no longer active, or no longer expired, is not
        // changed, and its event succeeds.
        Ok(batch.iter().map(|_| Ok(())).collect())
    }
}
