//! `HandlePackageExpiring`: consumes items that have indeed expired and activates the next items of
//! their owners.

use std::collections::{BTreeSet, HashSet};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use sqlx::PgPool;
use uuid::Uuid;

use super::outbox::{self, Outbox};
use super::{Batch, Consumer, Outcomes, Processor, Received};
use crate::app::{App, FromApp, StartError};
use crate::clock::Context;
use crate::db::package_queue::{self, ActivatedItem, ConsumedItem};
use crate::db::{self, Connection};
use crate::error::Error;
use crate::events::facts::Fact;
use crate::events::outbox::OutboxMessage;
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

/// Result of [`advance_queues`].
pub(super) struct Advanced {
    /// Ids of the consumed items.
    pub consumed: Vec<i64>,
    /// Number of activated items.
    pub activated: usize,
}

/// Consumes those of `items` that are active and have expired, and activates the next item of each
/// owner. The transaction must hold the locks of `items`.
pub(super) async fn advance_queues(
    tx: &mut Connection,
    outbox: &mut Outbox<'_>,
    items: &[i64],
    now: DateTime<Utc>,
) -> Result<Advanced, Error> {
    let consumed = package_queue::consume_expired(tx, items, now).await?;
    for ConsumedItem { item, reason } in &consumed {
        outbox.fact(&Fact::PackageExpired {
            user: item.user_id,
            package_queue_id: item.id,
            reason: *reason,
        })?;
    }
    let owners: BTreeSet<Uuid> = consumed
        .iter()
        .map(|consumed| consumed.item.user_id)
        .collect();
    let Activation {
        activated,
        users_without_items,
    } = activate(tx, outbox, owners.into_iter().collect(), now).await?;
    for user in users_without_items {
        outbox.fact(&Fact::PackageQueueEmptied { user })?;
    }
    Ok(Advanced {
        consumed: consumed.iter().map(|consumed| consumed.item.id).collect(),
        activated: activated.len(),
    })
}

/// Result of [`activate`].
pub(super) struct Activation {
    /// The activated items.
    pub activated: Vec<ActivatedItem>,
    /// Users who have neither an active nor a waiting item.
    pub users_without_items: Vec<Uuid>,
}

/// Activates and announces the oldest waiting item of each of `users`, none of whom has an active
/// item. An item whose quota leaves nothing to use expires at once. A user whose oldest item stays
/// locked is left to the next run of `expire-packages`.
pub(super) async fn activate(
    tx: &mut Connection,
    outbox: &mut Outbox<'_>,
    mut users: Vec<Uuid>,
    now: DateTime<Utc>,
) -> Result<Activation, Error> {
    /// An item may be cancelled after it was found and before it is locked. The next round then
    /// activates the item after it.
    const ROUNDS: usize = 3;
    let mut activation = Activation {
        activated: Vec::new(),
        users_without_items: Vec::new(),
    };
    for _ in 0..ROUNDS {
        if users.is_empty() {
            break;
        }
        let activated = package_queue::activate_next(tx, &users, now).await?;
        announce(&activated, outbox)?;
        let activated_users: HashSet<Uuid> = activated.iter().map(|item| item.user_id).collect();
        activation.activated.extend(activated);
        users.retain(|user| !activated_users.contains(user));
        if users.is_empty() {
            break;
        }
        let packages = package_queue::user_packages(tx, &users).await?;
        let users_with_items: HashSet<Uuid> =
            packages.iter().map(|packages| packages.user_id).collect();
        activation
            .users_without_items
            .extend(users.iter().filter(|user| !users_with_items.contains(user)));
        users = packages
            .iter()
            .filter(|packages| !packages.is_active)
            .map(|packages| packages.user_id)
            .collect();
    }
    Ok(activation)
}

fn announce(activated: &[ActivatedItem], outbox: &mut Outbox<'_>) -> Result<(), Error> {
    for item in activated {
        let (user, package_queue_id) = (item.user_id, item.id);
        outbox.fact(&Fact::PackageActivated {
            user,
            package_queue_id,
            expires_at: item.expires_at,
        })?;
        if item.expiring {
            outbox.package_expiring(package_queue_id, user, ExpiryReason::Traffic)?;
        }
    }
    Ok(())
}
