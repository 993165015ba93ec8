//! The queue of a user's package items: consumes expired items and activates the next ones.

use std::collections::{BTreeSet, HashSet};

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::outbox::Outbox;
use crate::db::Connection;
use crate::db::package_queue::{self as db, ActivatedItem, ConsumedItem, Item};
use crate::error::Error;
use crate::events::facts::Fact;
use crate::events::package_expiring::ExpiryReason;

pub(super) struct Advanced {
    /// The items that were consumed.
    pub consumed: Vec<Item>,
    /// Number of activated items.
    pub activated: usize,
}

/// Consumes those of `items` that are active and have expired, and activates the next item of each
/// owner. The transaction must hold the locks of `items`.
pub(super) async fn advance_queues(
    tx: &mut Connection,
    outbox: &mut Outbox<'_>,
    items: &[Item],
    now: DateTime<Utc>,
) -> Result<Advanced, Error> {
    let consumed = db::consume_expired(tx, items, now).await?;
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
        consumed: consumed.iter().map(|consumed| consumed.item).collect(),
        activated,
    })
}

#[derive(Default)]
pub(super) struct Activation {
    /// Number of activated items.
    pub activated: usize,
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
    let mut activation = Activation::default();
    for _ in 0..ROUNDS {
        if users.is_empty() {
            break;
        }
        let activated = db::activate_next(tx, &users, now).await?;
        announce(&activated, outbox)?;
        let activated_users: HashSet<Uuid> = activated.iter().map(|item| item.user_id).collect();
        activation.activated += activated.len();
        users.retain(|user| !activated_users.contains(user));
        if users.is_empty() {
            break;
        }
        let packages = db::user_packages(tx, &users).await?;
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
