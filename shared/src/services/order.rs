//! Delivery and cancellation of orders, for the API and for the queue.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use uuid::Uuid;

use super::outbox::Outbox;
use super::package_queue::{Activation, activate};
use crate::db::package_item::OpenItem;
use crate::db::package_order::NewRecord;
use crate::db::{Connection, package, package_item, package_order, package_queue};
use crate::domain::order::{DeliveredOrder, NewOrder};
use crate::error::{Error, ErrorKind};
use crate::events::facts::Fact;

/// Orders and cancellations to apply together.
#[derive(Debug, Default)]
pub(super) struct Orders<'o> {
    /// Orders in the order of their arrival. The first one of an id counts.
    pub new: Vec<&'o NewOrder>,
    /// Ids of cancelled orders. A cancelled order delivers nothing, whichever of both came first.
    pub cancelled: BTreeSet<Uuid>,
}

/// What a transaction did with orders and cancellations.
#[derive(Debug)]
pub(super) struct Applied {
    /// The orders and cancellations by id, as they are stored now.
    orders: BTreeMap<Uuid, DeliveredOrder>,
    /// Ids of those that this transaction stored or cancelled.
    changed: HashSet<Uuid>,
    /// The items that this transaction cancelled.
    pub cancelled: Vec<OpenItem>,
}

impl Applied {
    /// Number of orders that this transaction stored or cancelled.
    pub fn changed(&self) -> usize {
        self.changed.len()
    }

    /// The order as it is stored, and whether this transaction changed it. An error if its id
    /// belongs to another order, or if it could not be delivered.
    pub fn find(&self, order: &NewOrder) -> Result<(&DeliveredOrder, bool), Error> {
        match self.orders.get(&order.order_id) {
            Some(stored) if order.is(stored) || stored.user.is_none() => {
                Ok((stored, self.changed.contains(&order.order_id)))
            }
            Some(_) => Err(Error::new(
                ErrorKind::Conflict,
                "order_id_reused",
                "The order id belongs to another order. A new order needs a new id.",
            )),
            None => Err(Error::invalid(
                "series_not_sold",
                "series",
                "no package of this series is sold; expected a series with a master package",
            )),
        }
    }
}

/// Delivers an order once. Returns the order, and whether this call delivered it.
pub(super) async fn deliver(
    tx: &mut Connection,
    outbox: &mut Outbox<'_>,
    order: &NewOrder,
) -> Result<(DeliveredOrder, bool), Error> {
    let orders = Orders {
        new: vec![order],
        ..Orders::default()
    };
    let applied = apply(tx, outbox, &orders).await?;
    let (order, changed) = applied.find(order)?;
    Ok((order.clone(), changed))
}

/// What a cancellation did.
pub(super) struct Cancelled {
    pub order: DeliveredOrder,
    /// The items that were cancelled.
    pub items: Vec<OpenItem>,
    /// Whether this call cancelled the order.
    pub changed: bool,
}

/// Cancels an order once.
pub(super) async fn cancel(
    tx: &mut Connection,
    outbox: &mut Outbox<'_>,
    order_id: Uuid,
) -> Result<Cancelled, Error> {
    let orders = Orders {
        cancelled: [order_id].into(),
        ..Orders::default()
    };
    let mut applied = apply(tx, outbox, &orders).await?;
    let order = applied.orders.remove(&order_id);
    Ok(Cancelled {
        order: order.ok_or_else(|| Error::internal("a cancellation is not stored"))?,
        changed: !applied.changed.is_empty(),
        items: applied.cancelled,
    })
}

/// Delivers the new ones of `orders`: adds their items to the users' queues, and activates the
/// first item of a user who has no active item. Cancels the items of cancelled orders that have not
/// ended, and activates the next item if one of them was active. Orders and cancellations that are
/// known change nothing. The cancellation of an order that has not arrived is stored, so that the
/// order delivers nothing.
///
/// The number of statements does not depend on the number of orders. Locks are taken in the order
/// of users, then of order ids, then of the users and ids of items.
pub(super) async fn apply(
    tx: &mut Connection,
    outbox: &mut Outbox<'_>,
    orders: &Orders<'_>,
) -> Result<Applied, Error> {
    let users: BTreeSet<Uuid> = orders.new.iter().map(|order| order.user).collect();
    let users: Vec<Uuid> = users.into_iter().collect();
    package_order::lock_users(tx, &users).await?;
    let records = records(tx, orders).await?;
    let inserted = package_order::insert(tx, &records, outbox.now()).await?;
    let inserted: HashSet<Uuid> = inserted.into_iter().collect();
    let mut stored = stored(tx, orders).await?;

    let to_deliver = records.iter().filter_map(|record| {
        let is_new = inserted.contains(&record.order_id);
        Some((record.order?, record.package_id.filter(|_| is_new)?))
    });
    let to_deliver: Vec<(&NewOrder, i64)> = to_deliver.collect();
    add_items(tx, outbox, &to_deliver, &mut stored).await?;
    let mut changed = inserted;
    let cancelled = cancel_orders(tx, outbox, orders, &mut stored, &mut changed).await?;
    let delivered_to = to_deliver.iter().map(|(order, _)| order.user);
    activate_where_none(tx, outbox, delivered_to, &cancelled).await?;
    Ok(Applied {
        orders: stored,
        changed,
        cancelled,
    })
}

/// What is stored if the ids of `orders` are new, in the order of arrival. Orders that cannot be
/// delivered are left out.
async fn records<'o>(
    tx: &mut Connection,
    orders: &Orders<'o>,
) -> Result<Vec<NewRecord<'o>>, Error> {
    let series: Vec<Uuid> = orders.new.iter().map(|order| order.series).collect();
    let masters = package::masters(tx, &series).await?.into_iter();
    let masters: HashMap<Uuid, i64> = masters.map(|one| (one.series, one.package_id)).collect();
    let mut seen = HashSet::new();
    let arrived = orders.new.iter().filter_map(|order| {
        let is_cancelled = orders.cancelled.contains(&order.order_id);
        let package_id = masters.get(&order.series).copied();
        let is_accepted = is_cancelled || package_id.is_some();
        (is_accepted && seen.insert(order.order_id)).then_some(NewRecord {
            order_id: order.order_id,
            order: Some(order),
            package_id: package_id.filter(|_| !is_cancelled),
        })
    });
    let mut records: Vec<NewRecord<'o>> = arrived.collect();
    let alone = orders.cancelled.iter().filter(|id| !seen.contains(*id));
    records.extend(alone.map(|&order_id| NewRecord {
        order_id,
        order: None,
        package_id: None,
    }));
    Ok(records)
}

/// The orders and cancellations with the ids of `orders`, locked.
async fn stored(
    tx: &mut Connection,
    orders: &Orders<'_>,
) -> Result<BTreeMap<Uuid, DeliveredOrder>, Error> {
    let ids = orders.new.iter().map(|order| order.order_id);
    let ids: BTreeSet<Uuid> = ids.chain(orders.cancelled.iter().copied()).collect();
    let ids: Vec<Uuid> = ids.into_iter().collect();
    let stored = package_order::lock(tx, &ids).await?.into_iter();
    Ok(stored.map(|order| (order.order_id, order)).collect())
}

/// Adds the items of orders, each with its package, and announces the orders as delivered.
async fn add_items(
    tx: &mut Connection,
    outbox: &mut Outbox<'_>,
    orders: &[(&NewOrder, i64)],
    stored: &mut BTreeMap<Uuid, DeliveredOrder>,
) -> Result<(), Error> {
    if orders.is_empty() {
        return Ok(());
    }
    let mut items: HashMap<Uuid, Vec<i64>> = HashMap::new();
    for item in package_item::insert(tx, orders, outbox.now()).await? {
        items.entry(item.order_id).or_default().push(item.id);
    }
    for (order, package_id) in orders {
        let items = items.remove(&order.order_id).unwrap_or_default();
        if let Some(stored) = stored.get_mut(&order.order_id) {
            stored.items.clone_from(&items);
        }
        outbox.fact(&Fact::PackageDelivered {
            user: order.user,
            order_id: order.order_id,
            package_id: *package_id,
            package_queue_ids: items,
        })?;
    }
    Ok(())
}

/// Cancels the cancelled ones of `orders` that are not marked as cancelled yet, and adds them to
/// `changed`. Returns the items that were cancelled.
async fn cancel_orders(
    tx: &mut Connection,
    outbox: &mut Outbox<'_>,
    orders: &Orders<'_>,
    stored: &mut BTreeMap<Uuid, DeliveredOrder>,
    changed: &mut HashSet<Uuid>,
) -> Result<Vec<OpenItem>, Error> {
    let (mut ids, mut items) = (Vec::new(), Vec::new());
    for order in stored
        .values_mut()
        .filter(|order| order.cancelled_at.is_none() && orders.cancelled.contains(&order.order_id))
    {
        order.cancelled_at = Some(outbox.now());
        ids.push(order.order_id);
        items.extend_from_slice(&order.items);
    }
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    package_order::set_cancelled(tx, &ids, outbox.now()).await?;
    changed.extend(ids);
    cancel_open(tx, outbox, &items).await
}

/// Cancels those of `items` that have not ended. Activates the next item of each user whose active
/// item was among them. Returns the cancelled items.
pub(super) async fn cancel_items(
    tx: &mut Connection,
    outbox: &mut Outbox<'_>,
    items: &[i64],
) -> Result<Vec<OpenItem>, Error> {
    let cancelled = cancel_open(tx, outbox, items).await?;
    activate_where_none(tx, outbox, [].into_iter(), &cancelled).await?;
    Ok(cancelled)
}

async fn cancel_open(
    tx: &mut Connection,
    outbox: &mut Outbox<'_>,
    items: &[i64],
) -> Result<Vec<OpenItem>, Error> {
    let open = package_item::lock_open(tx, items).await?;
    package_item::cancel(tx, &open, outbox.now()).await?;
    for item in &open {
        outbox.fact(&Fact::PackageCancelled {
            user: item.user_id,
            package_queue_id: item.id,
        })?;
    }
    Ok(open)
}

/// Activates the oldest waiting item of the users to whom items were delivered and who have no
/// active item, and of the users whose active item was cancelled.
async fn activate_where_none(
    tx: &mut Connection,
    outbox: &mut Outbox<'_>,
    delivered_to: impl Iterator<Item = Uuid>,
    cancelled: &[OpenItem],
) -> Result<(), Error> {
    let delivered_to: BTreeSet<Uuid> = delivered_to.collect();
    let delivered_to: Vec<Uuid> = delivered_to.into_iter().collect();
    let cancelled = cancelled.iter().filter(|item| item.is_active);
    let mut users: BTreeSet<Uuid> = cancelled.map(|item| item.user_id).collect();
    if !delivered_to.is_empty() {
        let packages = package_queue::user_packages(tx, &delivered_to).await?;
        let inactive = packages.iter().filter(|packages| !packages.is_active);
        users.extend(inactive.map(|packages| packages.user_id));
    }
    let users = users.into_iter().collect();
    let Activation {
        users_without_items,
        ..
    } = activate(tx, outbox, users, outbox.now()).await?;
    for user in users_without_items {
        outbox.fact(&Fact::PackageQueueEmptied { user })?;
    }
    Ok(())
}
