//! Orders of packages, each delivered once.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::statements;
use crate::domain::order::{DeliveredOrder, NewOrder};

statements! {
    /// Stores an order. Returns `false` if an order or a cancellation with its id is stored
    /// already. Waits for another transaction that is storing it.
    pub fn insert(order: &NewOrder, package_id: i64, now: DateTime<Utc>) -> Wrote {
        "/* package_order.insert */
        insert into telecom.package_order (order_id, user_id, series, amount, package_id,
            received_at)
        values ($1, $2, $3, $4, $5, $6)
        on conflict do nothing",
        order.order_id, order.user, order.series, order.amount, package_id, now
    }

    /// Stores the cancellation of an order that has not arrived. Returns `false` if the order or a
    /// cancellation is stored already.
    pub fn insert_cancelled(order_id: Uuid, now: DateTime<Utc>) -> Wrote {
        "/* package_order.insert_cancelled */
        insert into telecom.package_order (order_id, received_at, cancelled_at)
        values ($1, $2, $2)
        on conflict do nothing"
    }

    /// Returns an order with the ids of its items, and locks the order until the transaction ends.
    /// `None` if no order and no cancellation has this id.
    pub fn lock(order_id: Uuid) -> FirstRow<DeliveredOrder> {
        r#"/* package_order.lock */
        select o.order_id, o.user_id as "user", o.series, o.amount, o.package_id, o.received_at,
            o.cancelled_at,
            array(select id from telecom.package_queue q where q.by_order = o.order_id order by id)
                as "items!"
        from telecom.package_order o
        where o.order_id = $1
        for no key update of o"#
    }

    /// Marks an order as cancelled.
    pub fn set_cancelled(order_id: Uuid, now: DateTime<Utc>) -> Done {
        "/* package_order.set_cancelled */
        update telecom.package_order set cancelled_at = $2 where order_id = $1"
    }
}
