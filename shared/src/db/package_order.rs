//! Orders of packages, each delivered once.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{column, statements};
use crate::domain::order::{DeliveredOrder, NewOrder};

/// An order or a cancellation to store under an order id.
#[derive(Debug, Clone, Copy)]
pub struct NewRecord<'o> {
    /// Id that the shop assigned.
    pub order_id: Uuid,
    /// The order. `None` if only its cancellation has arrived.
    pub order: Option<&'o NewOrder>,
    /// The package to deliver. `None` if the order is cancelled and delivers nothing.
    pub package_id: Option<i64>,
}

statements! {
    /// Locks the users of orders until the transaction ends, in the same order in every
    /// transaction. Deliveries to the same user could otherwise each activate an item, and
    /// deliveries to the same users could wait for each other.
    pub fn lock_users(users: &[Uuid]) -> Done {
        r#"/* package_order.lock_users */
        select pg_advisory_xact_lock(key) as "locked!" from (
            select distinct hashtextextended('package_order ' || user_id::text, 0) as key
            from unnest($1::uuid[]) as u (user_id)
            order by key
        ) as keys"#
    }

    /// Stores orders and cancellations in the order of their ids, and returns the ids that were
    /// new. Waits for other transactions that are storing the same ids.
    pub fn insert(new: &[NewRecord<'_>], now: DateTime<Utc>) -> Values<Uuid> {
        "/* package_order.insert */
        insert into telecom.package_order (order_id, user_id, series, amount, package_id,
            received_at, cancelled_at)
        select n.order_id, n.user_id, n.series, n.amount, n.package_id, $6,
            case when n.package_id is null then $6::timestamptz end
        from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::integer[], $5::bigint[])
            as n (order_id, user_id, series, amount, package_id)
        order by n.order_id
        on conflict do nothing
        returning order_id",
        &column(new, |new| new.order_id),
        &column(new, |new| new.order.map(|order| order.user)) as &[Option<Uuid>],
        &column(new, |new| new.order.map(|order| order.series)) as &[Option<Uuid>],
        &column(new, |new| new.order.map(|order| order.amount)) as &[Option<i32>],
        &column(new, |new| new.package_id) as &[Option<i64>],
        now
    }

    /// Returns orders with the ids of their items, and locks the orders until the transaction ends.
    /// Both happen in the order of their ids. Ids of neither an order nor a cancellation are
    /// missing from the result.
    pub fn lock(order_ids: &[Uuid]) -> Rows<DeliveredOrder> {
        r#"/* package_order.lock */
        select o.order_id, o.user_id as "user", o.series, o.amount, o.package_id, o.received_at,
            o.cancelled_at,
            array(select id from telecom.package_queue q where q.by_order = o.order_id order by id)
                as "items!"
        from telecom.package_order o
        where o.order_id = any($1)
        order by o.order_id
        for no key update of o"#
    }

    /// Marks orders that [`lock`] locked in this transaction as cancelled.
    pub fn set_cancelled(order_ids: &[Uuid], now: DateTime<Utc>) -> Done {
        "/* package_order.set_cancelled */
        update telecom.package_order set cancelled_at = $2 where order_id = any($1)"
    }
}
