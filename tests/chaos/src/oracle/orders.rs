//! Each order is delivered once, as it was ordered, and a cancelled order has no open item.

use std::collections::{HashMap, HashSet};

use anyhow::Result;
use sqlx::FromRow;
use uuid::Uuid;

use super::amount;
use super::moves::Move;
use crate::asked::Asked;
use crate::ledger::{Books, Order};
use crate::run::Run;

/// A row of `telecom.package_order`.
#[derive(Debug, FromRow)]
struct OrderRow {
    order_id: Uuid,
    is_delivered: bool,
    is_cancelled: bool,
}

/// Compares orders and the items that they added with the books.
pub async fn check(run: &Run, moves: &[Move]) -> Result<()> {
    let rows: Vec<OrderRow> = run
        .operator
        .until_done(async |connection| {
            sqlx::query_as(
                "select order_id, package_id is not null as is_delivered,
                cancelled_at is not null as is_cancelled from telecom.package_order",
            )
            .fetch_all(connection)
            .await
        })
        .await?;
    let rows: HashMap<Uuid, OrderRow> = rows.into_iter().map(|row| (row.order_id, row)).collect();
    let items = items_by_order(moves);
    let books = run.ledger.open();
    for (id, order) in &books.orders {
        let items = items.get(id).map(Vec::as_slice).unwrap_or_default();
        check_order(run, *id, order, rows.get(id), items);
    }
    let known = |id: &&Uuid| books.orders.contains_key(*id);
    for id in rows.keys().chain(items.keys()).filter(|id| !known(id)) {
        run.finding("an order is delivered that was never sent", || {
            id.to_string()
        });
    }
    check_cancelled(run, &books, moves);
    Ok(())
}

/// The added items of each order.
fn items_by_order(moves: &[Move]) -> HashMap<Uuid, Vec<&Move>> {
    let mut items: HashMap<Uuid, Vec<&Move>> = HashMap::new();
    for step in moves.iter().filter(|step| step.is_new()) {
        if let Some(order) = step.by_order {
            items.entry(order).or_default().push(step);
        }
    }
    items
}

fn check_order(run: &Run, id: Uuid, order: &Order, row: Option<&OrderRow>, items: &[&Move]) {
    let found = items.len();
    let ordered = usize::try_from(order.what.amount).unwrap_or_default();
    let example = || format!("order {id}: {order:?}, {found} items, {row:?}");
    let is_delivered = row.is_some_and(|row| row.is_delivered);
    let may_be_cancelled = order
        .cancelled
        .is_some_and(|cancelled| order.accepted.is_none_or(|accepted| cancelled <= accepted));
    let wanted = if is_delivered || !may_be_cancelled {
        ordered
    } else {
        0
    };
    if found < wanted {
        run.findings_of("ordered items lost", amount(wanted - found), example);
    }
    if found > wanted {
        run.findings_of("ordered items doubled", amount(found - wanted), example);
    }
    let cast = run.cast();
    let position = cast.series.iter().position(|one| *one == order.what.series);
    let package = position.and_then(|position| i64::try_from(position + 1).ok());
    let differs =
        |item: &&Move| item.user_id != order.what.user || Some(item.package_id) != package;
    if items.iter().any(differs) {
        run.finding("an item differs from its order", example);
    }
    if row.is_some_and(|row| row.is_cancelled) != order.cancelled.is_some() {
        run.finding("an order is cancelled otherwise than asked", example);
    }
}

/// Items must be cancelled if and only if a call, an order's cancellation or the operator did so.
fn check_cancelled(run: &Run, books: &Books, moves: &[Move]) {
    let calls = books.accepted().filter_map(|call| match call.asked {
        Asked::CancelItem(item) => Some(item),
        _ => None,
    });
    let calls: HashSet<i64> = calls.collect();
    let is_order_cancelled = |step: &Move| {
        let order = step.by_order.and_then(|id| books.orders.get(&id));
        order.is_some_and(|order| order.cancelled.is_some())
    };
    let mut last: HashMap<i64, &Move> = HashMap::new();
    for step in moves.iter().filter(|step| step.is_step()) {
        last.insert(step.item_id, step);
        let is_cancelled = step.status == "cancelled" && !step.is_by_hand();
        if is_cancelled && !calls.contains(&step.item_id) && !is_order_cancelled(step) {
            run.finding("an item is cancelled without a request", || {
                format!("{step:?}")
            });
        }
    }
    for (item, step) in last {
        let is_asked = calls.contains(&item) || is_order_cancelled(step);
        if is_asked && !step.is_end() {
            run.finding("a cancelled item is open", || format!("{step:?}"));
        }
    }
    for item in calls
        .iter()
        .filter(|item| !moves.iter().any(|step| step.item_id == **item))
    {
        run.finding("a call cancels an item that is not there", || {
            item.to_string()
        });
    }
}
