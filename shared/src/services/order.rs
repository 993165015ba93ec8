//! Delivery and cancellation of orders, for the API and for the queue.

use uuid::Uuid;

use super::outbox::Outbox;
use super::package_queue::activate;
use crate::db::package_item::OpenItem;
use crate::db::{Connection, package, package_item, package_order, package_queue};
use crate::domain::order::{DeliveredOrder, NewOrder};
use crate::error::{Error, ErrorKind};
use crate::events::facts::Fact;

/// Delivers an order once: adds its items to the user's queue, and activates the first one if the
/// user has no active item. A repeated order changes nothing. An order that was cancelled before it
/// arrived delivers nothing.
///
/// Returns the order, and whether this call delivered it.
pub(super) async fn deliver(
    tx: &mut Connection,
    outbox: &mut Outbox<'_>,
    order: &NewOrder,
) -> Result<(DeliveredOrder, bool), Error> {
    if let Some(delivered) = find(tx, order).await? {
        return Ok((delivered, false));
    }
    let package_id = package::master(tx, order.series).await?.ok_or_else(|| {
        Error::invalid(
            "series_not_sold",
            "series",
            "no package of this series is sold; expected a series with a master package",
        )
    })?;
    if !package_order::insert(tx, order, package_id, outbox.now()).await? {
        // Another transaction delivered it in between.
        return Err(Error::conflict());
    }
    let items = package_item::insert(tx, order, package_id, outbox.now()).await?;
    outbox.fact(&Fact::PackageDelivered {
        user: order.user,
        order_id: order.order_id,
        package_id,
        package_queue_ids: items,
    })?;
    activate_if_none(tx, outbox, order.user).await?;
    Ok((stored(tx, order.order_id).await?, true))
}

/// The order as it was delivered or cancelled before. `None` if it is new.
async fn find(tx: &mut Connection, order: &NewOrder) -> Result<Option<DeliveredOrder>, Error> {
    match package_order::lock(tx, order.order_id).await? {
        Some(delivered) if order.is(&delivered) || delivered.user.is_none() => Ok(Some(delivered)),
        Some(_) => Err(Error::new(
            ErrorKind::Conflict,
            "order_id_reused",
            "The order id belongs to another order. A new order needs a new id.",
        )),
        None => Ok(None),
    }
}

async fn stored(tx: &mut Connection, order_id: Uuid) -> Result<DeliveredOrder, Error> {
    let order = package_order::lock(tx, order_id).await?;
    order.ok_or_else(|| Error::internal("an order is not stored"))
}

/// What a cancellation did.
pub(super) struct Cancelled {
    pub order: DeliveredOrder,
    /// The items that were cancelled.
    pub items: Vec<OpenItem>,
    /// Whether this call cancelled the order.
    pub changed: bool,
}

/// Cancels the items of an order that have not ended, and activates the next item if one of them
/// was active. A repeated cancellation changes nothing. The cancellation of an order that has not
/// arrived is stored, so that the order delivers nothing.
pub(super) async fn cancel(
    tx: &mut Connection,
    outbox: &mut Outbox<'_>,
    order_id: Uuid,
) -> Result<Cancelled, Error> {
    let Some(order) = package_order::lock(tx, order_id).await? else {
        if !package_order::insert_cancelled(tx, order_id, outbox.now()).await? {
            // Another transaction delivered or cancelled it in between.
            return Err(Error::conflict());
        }
        return Ok(Cancelled {
            order: stored(tx, order_id).await?,
            items: Vec::new(),
            changed: true,
        });
    };
    if order.cancelled_at.is_some() {
        return Ok(Cancelled {
            order,
            items: Vec::new(),
            changed: false,
        });
    }
    package_order::set_cancelled(tx, order_id, outbox.now()).await?;
    let items = cancel_items(tx, outbox, &order.items).await?;
    Ok(Cancelled {
        order: stored(tx, order_id).await?,
        items,
        changed: true,
    })
}

/// Cancels those of `items`, which belong to one user, that have not ended. Activates the user's
/// next item if one of them was active. Returns the cancelled items.
pub(super) async fn cancel_items(
    tx: &mut Connection,
    outbox: &mut Outbox<'_>,
    items: &[i64],
) -> Result<Vec<OpenItem>, Error> {
    let open = package_item::lock_open(tx, items).await?;
    let ids: Vec<i64> = open.iter().map(|item| item.id).collect();
    package_item::cancel(tx, &ids, outbox.now()).await?;
    for item in &open {
        outbox.fact(&Fact::PackageCancelled {
            user: item.user_id,
            package_queue_id: item.id,
        })?;
    }
    if let Some(active) = open.iter().find(|item| item.is_active) {
        let activation = activate(tx, outbox, vec![active.user_id], outbox.now()).await?;
        for user in activation.users_without_items {
            outbox.fact(&Fact::PackageQueueEmptied { user })?;
        }
    }
    Ok(open)
}

/// Activates the oldest waiting item of a user who has no active item.
async fn activate_if_none(
    tx: &mut Connection,
    outbox: &mut Outbox<'_>,
    user: Uuid,
) -> Result<(), Error> {
    let packages = package_queue::user_packages(tx, &[user]).await?;
    if packages.iter().all(|packages| !packages.is_active) {
        activate(tx, outbox, vec![user], outbox.now()).await?;
    }
    Ok(())
}
