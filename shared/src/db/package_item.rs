//! Changes of package items by orders and by administrators.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::package_queue::Item;
use super::{column, statements};
use crate::domain::order::NewOrder;

/// An item that an order delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OrderedItem {
    /// Id of the item.
    pub id: i64,
    /// Id of the order.
    pub order_id: Uuid,
}

/// An item that has not ended, locked by this transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenItem {
    /// Id of the item.
    pub id: i64,
    /// Id of the item's owner.
    pub user_id: Uuid,
    /// Whether the item is active. Otherwise it is waiting.
    pub is_active: bool,
}

impl OpenItem {
    /// The item and its owner.
    #[must_use]
    pub fn item(&self) -> Item {
        Item {
            id: self.id,
            user_id: self.user_id,
        }
    }
}

statements! {
    /// Adds the items of `orders` to the ends of their users' queues in the given order, and
    /// returns them. Each order comes with the id of its package.
    pub fn insert(orders: &[(&NewOrder, i64)], now: DateTime<Utc>) -> Rows<OrderedItem> {
        r#"/* package_item.insert */
        insert into telecom.package_queue (user_id, package_id, by_order, created_at)
        select o.user_id, o.package_id, o.order_id, $5
        from unnest($1::uuid[], $2::bigint[], $3::uuid[], $4::integer[]) with ordinality
                as o (user_id, package_id, order_id, amount, place),
            generate_series(1, o.amount)
        order by o.place
        returning id, by_order as "order_id!""#,
        &column(orders, |(order, _)| order.user),
        &column(orders, |(_, package_id)| *package_id),
        &column(orders, |(order, _)| order.order_id),
        &column(orders, |(order, _)| order.amount),
        now
    }

    /// Locks those of `items` that have not ended, in the order of users and ids, until the
    /// transaction ends, and returns them.
    pub fn lock_open(items: &[i64]) -> Rows<OpenItem> {
        r#"/* package_item.lock_open */
        select id, user_id, status = 'active' as "is_active!" from telecom.package_queue
        where id = any($1) and status in ('in_queue', 'active')
        order by user_id, id
        for no key update"#
    }

    /// Cancels items that [`lock_open`] locked in this transaction.
    pub fn cancel(items: &[OpenItem], now: DateTime<Utc>) -> Done {
        "/* package_item.cancel */
        update telecom.package_queue
        set status = 'cancelled', end_reason = 'cancelled', ended_at = $3
        where id = any($1) and user_id = any($2)",
        &column(items, |item| item.id),
        &column(items, |item| item.user_id),
        now
    }

    /// Sets the quota adjustments of items that [`lock_open`] locked in this transaction. A trigger
    /// marks an item as expiring if nothing is left to use.
    pub fn set_adjust_quotas(adjusted: &[(Item, i64)]) -> Done {
        "/* package_item.set_adjust_quotas */
        update telecom.package_queue q set adjust_quota_bytes = a.bytes
        from (
            select unnest($1::bigint[]) as id, unnest($2::uuid[]) as user_id,
                unnest($3::bigint[]) as bytes
        ) as a
        where q.id = a.id and q.user_id = a.user_id",
        &column(adjusted, |(item, _)| item.id),
        &column(adjusted, |(item, _)| item.user_id),
        &column(adjusted, |(_, bytes)| *bytes)
    }

    /// Sets the end of an active item that [`lock_open`] locked in this transaction. A trigger
    /// makes the notices of the end due for a check.
    pub fn set_end(item: Item, expires_at: DateTime<Utc>) -> Done {
        "/* package_item.set_end */
        update telecom.package_queue q set
            expires_at = $3,
            extended_seconds = extract(epoch from $3::timestamptz - q.activated_at)::bigint
                - p.expire_duration_seconds
        from telecom.package p
        where q.id = $1 and q.user_id = $2 and p.id = q.package_id",
        item.id,
        item.user_id,
        expires_at
    }

    /// The active item of each of `users`, else the oldest waiting one. Users without an open item
    /// are missing.
    pub fn next_open(users: &[Uuid]) -> Values<i64> {
        r#"/* package_item.next_open */
        select coalesce(
            (select q.id from telecom.package_queue q
            where q.user_id = u.user_id and q.status = 'active'),
            (select q.id from telecom.package_queue q
            where q.user_id = u.user_id and q.status = 'in_queue'
            order by q.created_at, q.id limit 1)
        ) as "id!"
        from unnest($1::uuid[]) as u (user_id)
        where exists (
            select from telecom.package_queue q
            where q.user_id = u.user_id and q.status in ('in_queue', 'active')
        )"#
    }
}
