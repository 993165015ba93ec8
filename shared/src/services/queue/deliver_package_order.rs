//! `DeliverPackageOrder`: delivers orders of the shop, each once, and cancels orders.

use async_trait::async_trait;
use sqlx::PgPool;

use crate::app::{App, FromApp, StartError};
use crate::clock::Context;
use crate::domain::dead_letter::Queue;
use crate::error::Error;
use crate::events::package_order::{Cancellation, PackageOrder};
use crate::events::publisher::Publisher;
use crate::services::order::{self, Orders};
use crate::services::outbox::Transactions;
use crate::services::{Batch, Consumer, Outcomes, Processor, Received};

/// Consumer of the shop's orders.
#[derive(Debug, Clone)]
pub struct DeliverPackageOrder(Transactions);

impl DeliverPackageOrder {
    /// Creates the service. `publisher` must be able to send to the package-expiring queue and to
    /// the event bus.
    #[must_use]
    pub fn new(pool: PgPool, publisher: Publisher, context: Context) -> Self {
        Self(Transactions::new(pool, publisher, context))
    }
}

#[async_trait]
impl FromApp for DeliverPackageOrder {
    async fn from_app(app: &App) -> Result<Self, StartError> {
        Transactions::from_app(app).await.map(Self)
    }
}

impl Consumer for DeliverPackageOrder {
    type Message = PackageOrder;
    const QUEUE: Queue = Queue::PackageOrder;

    fn parse(&self, _: &Received, body: &str) -> Result<PackageOrder, Error> {
        PackageOrder::parse(body)
    }
}

#[async_trait]
impl Processor<Batch<PackageOrder>> for DeliverPackageOrder {
    type Output = Outcomes;

    #[tracing::instrument(name = "deliver_package_order", skip_all, fields(messages = batch.len()))]
    async fn process(&self, batch: Batch<PackageOrder>) -> Result<Outcomes, Error> {
        let mut orders = Orders::default();
        for message in &batch {
            match &**message {
                PackageOrder::Ordered(order) => orders.new.push(order),
                PackageOrder::Cancelled(Cancellation { order_id }) => {
                    orders.cancelled.insert(*order_id);
                }
            }
        }
        let applied = self
            .0
            .run("deliver_package_order", async |tx, outbox| {
                order::apply(tx, outbox, &orders).await
            })
            .await?;
        tracing::info!(
            changed = applied.changed(),
            cancelled_items = applied.cancelled.len(),
            "orders delivered and cancelled"
        );
        let outcomes = batch.iter().map(|message| match &**message {
            PackageOrder::Ordered(order) => applied.find(order).map(|_| ()),
            // A cancellation is stored even if its order has not arrived.
            PackageOrder::Cancelled(_) => Ok(()),
        });
        Ok(outcomes.collect())
    }
}
