//! `HandlePackageExpiring`: consumes items that have really run out and activates those that follow.

use std::collections::HashSet;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use sqlx::PgPool;
use uuid::Uuid;

use super::outbox::{self, Outbox};
use super::{Batch, Consumer, Outcomes, Processor, Received};
use crate::app::{App, FromApp, StartError};
use crate::clock::Context;
use crate::db::outbox::OutboxMessage;
use crate::db::package_queue::{self, ActivatedItem, ConsumedItem};
use crate::db::{self, Connection};
use crate::error::Error;
use crate::events::facts::Fact;
use crate::events::package_expiring::{ExpiryReason, PackageExpiringEvent};
use crate::events::publisher::Publisher;

/// Consumer of route `telecom.package_expiring`.
#[derive(Debug, Clone)]
pub struct HandlePackageExpiring {
    pool: PgPool,
    publisher: Publisher,
    context: Context,
}

impl HandlePackageExpiring {
    /// Over a database and a publisher that reaches the package-expiring queue and the bus.
    #[must_use]
    pub fn new(pool: PgPool, publisher: Publisher, context: Context) -> Self {
        Self { pool, publisher, context }
    }
}

#[async_trait]
impl FromApp for HandlePackageExpiring {
    async fn from_app(app: &App) -> Result<Self, StartError> {
        Ok(Self::new(app.database()?, app.publisher().await, app.context()))
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
        let messages =
            db::write_tx(&self.pool, "handle_package_expiring", async |tx| self.handle(tx, &batch).await).await?;
        outbox::send(&self.pool, &self.publisher, messages).await;
        // An item that is no longer active, or no longer run out, is left alone: the event was a hint.
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
        let users = sorted(batch.iter().map(|event| event.user));
        let items: Vec<i64> = batch.iter().map(|event| event.package_queue_id).collect();
        package_queue::lock_active(tx, &users).await?;
        let consumed = package_queue::consume_expired(tx, &items, now).await?;

        let mut outbox = Outbox::new(&self.context, now);
        for ConsumedItem { item, reason } in &consumed {
            outbox.fact(&Fact::PackageExpired { user: item.user_id, package_queue_id: item.id, reason: *reason })?;
        }
        let owners = sorted(consumed.iter().map(|consumed| consumed.item.user_id));
        let activated = activate(tx, &mut outbox, &owners, now).await?;
        let followed: HashSet<Uuid> = activated.iter().map(|item| item.user_id).collect();
        for &user in owners.iter().filter(|user| !followed.contains(user)) {
            outbox.fact(&Fact::PackageQueueEmptied { user })?;
        }
        let messages = outbox.write(tx).await?;
        tracing::info!(consumed = consumed.len(), activated = activated.len(), "package items moved on");
        Ok(messages)
    }
}

/// Activates the oldest waiting item of each of `users` and announces it; one whose quota leaves nothing to use
/// expires at once.
pub(super) async fn activate(
    tx: &mut Connection,
    outbox: &mut Outbox<'_>,
    users: &[Uuid],
    now: DateTime<Utc>,
) -> Result<Vec<ActivatedItem>, Error> {
    let activated = package_queue::activate_next(tx, users, now).await?;
    for item in &activated {
        let (user, package_queue_id) = (item.user_id, item.id);
        outbox.fact(&Fact::PackageActivated { user, package_queue_id, expires_at: item.expires_at })?;
        if item.expiring {
            outbox.package_expiring(package_queue_id, user, ExpiryReason::Traffic)?;
        }
    }
    Ok(activated)
}

fn sorted(users: impl Iterator<Item = Uuid>) -> Vec<Uuid> {
    let mut users: Vec<Uuid> = users.collect();
    users.sort_unstable();
    users.dedup();
    users
}
