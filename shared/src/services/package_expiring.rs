//! `HandlePackageExpiring`: consumes items that have really run out and activates those that
//! follow.

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
    /// Over a database and a publisher that reaches the package-expiring queue and the bus.
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
        // An item that is no longer active, or no longer run out, is left alone: the event was a
        // hint.
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
        let moved = move_on(tx, &mut outbox, &items, now).await?;
        let messages = outbox.write(tx).await?;
        tracing::info!(
            consumed = moved.consumed.len(),
            activated = moved.activated,
            "package items consumed and activated"
        );
        Ok(messages)
    }
}

/// What [`move_on`] did.
pub(super) struct Moved {
    /// Items consumed.
    pub consumed: Vec<i64>,
    /// Number of items activated.
    pub activated: usize,
}

/// Consumes those of `items` that are active and have run out, and activates the next item of each
/// owner. The transaction holds the locks of `items`.
pub(super) async fn move_on(
    tx: &mut Connection,
    outbox: &mut Outbox<'_>,
    items: &[i64],
    now: DateTime<Utc>,
) -> Result<Moved, Error> {
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
    let Activation { activated, without } =
        activate(tx, outbox, owners.into_iter().collect(), now).await?;
    for user in without {
        outbox.fact(&Fact::PackageQueueEmptied { user })?;
    }
    Ok(Moved {
        consumed: consumed.iter().map(|consumed| consumed.item.id).collect(),
        activated: activated.len(),
    })
}

/// What [`activate`] did.
pub(super) struct Activation {
    /// Items activated.
    pub activated: Vec<ActivatedItem>,
    /// Users who have neither an active nor a waiting item.
    pub without: Vec<Uuid>,
}

/// Activates the oldest waiting item of each of `users`, none of whom has an active one, and
/// announces it; one whose quota leaves nothing to use expires at once. A user whose oldest item
/// stays locked is left to the next run of `expire-packages`.
pub(super) async fn activate(
    tx: &mut Connection,
    outbox: &mut Outbox<'_>,
    mut users: Vec<Uuid>,
    now: DateTime<Utc>,
) -> Result<Activation, Error> {
    /// An item may be cancelled between the look and the lock: then the one after it is next.
    const ROUNDS: usize = 3;
    let mut activation = Activation {
        activated: Vec::new(),
        without: Vec::new(),
    };
    for _ in 0..ROUNDS {
        if users.is_empty() {
            break;
        }
        let activated = package_queue::activate_next(tx, &users, now).await?;
        announce(&activated, outbox)?;
        let followed: HashSet<Uuid> = activated.iter().map(|item| item.user_id).collect();
        activation.activated.extend(activated);
        users.retain(|user| !followed.contains(user));
        if users.is_empty() {
            break;
        }
        let packages = package_queue::user_packages(tx, &users).await?;
        let has_some: HashSet<Uuid> = packages.iter().map(|packages| packages.user_id).collect();
        activation
            .without
            .extend(users.iter().filter(|user| !has_some.contains(user)));
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
