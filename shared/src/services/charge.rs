//! Charges users for usage. Updates their active items and the hourly rows, and writes the
//! resulting messages into the outbox.
//!
//! All users of a batch are charged by one statement per table. If that fails for a reason that may
//! lie in one user's rows (a locked item, a number out of range), the batch is charged
//! [separately]: all users who can be charged are charged, and the others are returned to the
//! caller, which parks their usage.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use uuid::Uuid;

use super::outbox::Outbox;
use super::package_queue::activate;
use crate::clock::Context;
use crate::db::user_package_usage::{self, UsageToAdd};
use crate::db::{self, Connection, node_usage, package_queue, user_usage};
use crate::domain::levels::Levels;
use crate::domain::package::{ActiveItem, Charge, Charged};
use crate::domain::traffic::{Traffic, UsageKey};
use crate::error::Error;
use crate::events::facts::Fact;
use crate::events::outbox::OutboxMessage;
use crate::events::package_expiring::ExpiryReason;

/// Usage by user, hour, server and client. Keys are sorted and unique.
pub(super) type Usage = BTreeMap<UsageKey, Traffic>;

/// Charges all users of `usage` together, and writes the resulting messages into the outbox.
/// `thresholds` are the percentages of a quota that are published when they are reached.
///
/// Locks are always taken in the same order: the days of late usage, package items by user, usage
/// rows by key, the outbox.
pub(super) async fn together(
    tx: &mut Connection,
    context: &Context,
    thresholds: &Levels,
    usage: &Usage,
) -> Result<Vec<OutboxMessage>, Error> {
    let closed_before = user_usage::closed_before(tx).await?;
    let mut outbox = Outbox::new(context, context.now());
    let items = charge_items(tx, context, thresholds, &charges(usage)?, &mut outbox).await?;
    let mut items = items.iter().peekable();
    let rows: Vec<UsageToAdd> = usage
        .iter()
        .map(|(&key, &traffic)| {
            while items.next_if(|item| item.user_id < key.user_id).is_some() {}
            let item = items.peek().filter(|item| item.user_id == key.user_id);
            UsageToAdd {
                key,
                package_queue_id: item.map(|item| item.id),
                traffic,
            }
        })
        .collect();
    user_package_usage::add(tx, &rows, context.now()).await?;
    node_usage::add(tx, &rows).await?;
    user_usage::add_late(tx, &rows, closed_before).await?;
    outbox.write(tx).await
}

/// A user who could not be charged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refused {
    /// Id of the user.
    pub user_id: Uuid,
    /// Code and cause of the error.
    pub reason: String,
}

/// Charges those users of `usage` who can be charged, and returns the others. A group of users that
/// fails is split in halves, so the number of statements depends on the number of users who fail
/// and not on the number of all users.
pub(super) async fn separately(
    tx: &mut Connection,
    context: &Context,
    thresholds: &Levels,
    usage: &Usage,
) -> Result<(Vec<OutboxMessage>, Vec<Refused>), Error> {
    let (mut messages, mut refused) = (Vec::new(), Vec::new());
    db::wait_briefly_for_locks(tx).await?;
    // The top of the stack always holds the group with the lowest user ids, so that users are
    // locked in the order of their ids.
    let mut groups = vec![usage.clone()];
    while let Some(group) = groups.pop() {
        match db::try_to(tx, async |tx| {
            together(tx, context, thresholds, &group).await
        })
        .await?
        {
            Ok(sent) => messages.extend(sent),
            Err(error) => match halves(&group) {
                Some((first, second)) => groups.extend([second, first]),
                None => refused.extend(group.keys().next().map(|key| refuse(key.user_id, &error))),
            },
        }
    }
    Ok((messages, refused))
}

fn refuse(user_id: Uuid, error: &Error) -> Refused {
    tracing::error!(%user_id, error_code = error.code(), cause = error.cause(),
        "cannot charge a user");
    Refused {
        user_id,
        reason: format!("{}: {}", error.code(), error.cause()),
    }
}

/// Splits usage between two users. `None` if all usage is one user's.
fn halves(usage: &Usage) -> Option<(Usage, Usage)> {
    let users: BTreeSet<Uuid> = usage.keys().map(|key| key.user_id).collect();
    let middle = *users
        .iter()
        .nth(users.len() / 2)
        .filter(|_| users.len() > 1)?;
    Some(
        usage
            .iter()
            .map(|(key, traffic)| (*key, *traffic))
            .partition(|(key, _)| key.user_id < middle),
    )
}

/// Sums up the charge of each user, sorted by user.
fn charges(usage: &Usage) -> Result<Vec<Charge>, Error> {
    let add = |sum: i64, bytes| sum.checked_add(bytes).ok_or_else(Error::overflow);
    let mut charges: Vec<Charge> = Vec::new();
    for (key, traffic) in usage {
        let (upload, download) = (traffic.billed_upload, traffic.billed_download);
        match charges
            .last_mut()
            .filter(|charge| charge.user_id == key.user_id)
        {
            Some(charge) => {
                charge.upload_bytes = add(charge.upload_bytes, upload)?;
                charge.download_bytes = add(charge.download_bytes, download)?;
            }
            None => charges.push(Charge {
                user_id: key.user_id,
                upload_bytes: upload,
                download_bytes: download,
            }),
        }
    }
    Ok(charges)
}

/// Charges active items and returns them. `charges` and the result are sorted by user.
async fn charge_items(
    tx: &mut Connection,
    context: &Context,
    thresholds: &Levels,
    charges: &[Charge],
    outbox: &mut Outbox<'_>,
) -> Result<Vec<ActiveItem>, Error> {
    let mut items = lock_items(tx, context, charges, outbox).await?;
    items.sort_unstable_by_key(|item| item.user_id);
    let now = context.now();
    let mut charges = charges.iter();
    // A charge of 0 bytes (factor 0) does not change an item, so the item is not written.
    let mut changed = Vec::with_capacity(items.len());
    for item in &mut items {
        let before = *item;
        if let Some(charge) = charges.find(|charge| charge.user_id == item.user_id) {
            let effect = item
                .charge(charge, thresholds, now)
                .ok_or_else(Error::overflow)?;
            announce(item, &effect, outbox)?;
        }
        if *item != before {
            changed.push(*item);
        }
    }
    // The items are already locked, so they may be written in any order. The order of ids is the
    // cheapest, because it is the order in which the rows are stored.
    changed.sort_unstable_by_key(|item| item.id);
    let written = package_queue::update_charged(tx, &changed).await?;
    if usize::try_from(written) != Ok(changed.len()) {
        return Err(Error::internal("a locked item was not charged"));
    }
    Ok(items)
}

/// Locks the item that each user is charged to. That is the active item or, if there is none, the
/// oldest waiting item, which becomes active.
///
/// While a statement waits for a lock, the holder of the lock may activate the user's next item.
/// The statement then finds neither the old item, which is consumed, nor the new item, which its
/// snapshot does not contain. A user is therefore charged to no item only if a later statement
/// finds neither an active nor a waiting item. Items found by the later statement are locked
/// without waiting, because the transaction holds locks of other users by then. If that fails, the
/// transaction runs again.
async fn lock_items(
    tx: &mut Connection,
    context: &Context,
    charges: &[Charge],
    outbox: &mut Outbox<'_>,
) -> Result<Vec<ActiveItem>, Error> {
    /// More than two rounds are needed only if other transactions change the same items meanwhile.
    const ROUNDS: usize = 4;
    let users: Vec<Uuid> = charges.iter().map(|charge| charge.user_id).collect();
    let mut items = package_queue::lock_active(tx, &users).await?;
    if items.len() == users.len() {
        return Ok(items);
    }
    let mut missing = without(users, &items);
    for _ in 0..ROUNDS {
        let found = package_queue::user_packages(tx, &missing).await?;
        if found.is_empty() {
            return Ok(items);
        }
        let waiting: Vec<Uuid> = found
            .iter()
            .filter(|packages| !packages.is_active)
            .map(|packages| packages.user_id)
            .collect();
        if !waiting.is_empty() {
            activate(tx, outbox, waiting, context.now()).await?;
        }
        let found: Vec<Uuid> = found.iter().map(|packages| packages.user_id).collect();
        items.extend(package_queue::lock_active_unless_locked(tx, &found).await?);
        missing = without(missing, &items);
    }
    Err(Error::conflict())
}

/// Returns those of `users` who have none of `items`.
fn without(mut users: Vec<Uuid>, items: &[ActiveItem]) -> Vec<Uuid> {
    let found: HashSet<Uuid> = items.iter().map(|item| item.user_id).collect();
    users.retain(|user| !found.contains(user));
    users
}

fn announce(item: &ActiveItem, charged: &Charged, outbox: &mut Outbox<'_>) -> Result<(), Error> {
    for &percent in &charged.thresholds {
        outbox.fact(&Fact::QuotaThresholdReached {
            user: item.user_id,
            package_queue_id: item.id,
            percent,
            used_bytes: charged.used_bytes,
            quota_bytes: item.quota_bytes.unwrap_or_default(),
        })?;
    }
    if charged.expiring {
        outbox.package_expiring(item.id, item.user_id, ExpiryReason::Traffic)?;
    }
    Ok(())
}

/// Whether users may be charged [separately] after charging them [together] failed with this error.
pub(super) fn may_be_charged_separately(error: &Error) -> bool {
    error.may_come_from_one_item() || error.is_conflict()
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;

    fn usage(users: &[u128]) -> Usage {
        let key = |user: &u128| UsageKey {
            user_id: Uuid::from_u128(*user),
            bucket_start: DateTime::UNIX_EPOCH,
            node_server_id: 1,
            node_client_id: None,
        };
        users
            .iter()
            .map(|user| (key(user), Traffic::default()))
            .collect()
    }

    #[test]
    fn usage_is_split_between_users_but_never_within_one() {
        let (first, second) = halves(&usage(&[1, 2, 3])).unwrap();
        assert_eq!((first, second), (usage(&[1]), usage(&[2, 3])));
        assert_eq!(halves(&usage(&[2, 3])), Some((usage(&[2]), usage(&[3]))));
        assert_eq!(halves(&usage(&[2])), None);
    }
}
