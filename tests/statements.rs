//! The number of SQL statements does not depend on the number of events in a batch.

use serde_json::{Value, json};
use shared::services::Consumer;
use sqlx::PgPool;
use telecom_tests::report::{report, texts, with};
use telecom_tests::{GIB, NOW, SERVER, World, assert_all_accepted, at, user};
use uuid::Uuid;

/// Number of statements that a delivery sends, as `pg_stat_statements` counts them.
async fn statements<C: Consumer>(world: &World, consumer: &C, bodies: &[Value]) -> i64 {
    const CALLS: &str = "select coalesce(sum(calls), 0)::bigint from pg_stat_statements s
        join pg_database d on d.oid = s.dbid where d.datname = current_database()
        and s.query not like '%pg_stat%'
            and s.query not like '/* db.connect%'";
    world
        .sql("create extension if not exists pg_stat_statements")
        .await;
    let before = world.number(CALLS).await;
    assert_all_accepted(consumer, &texts(bodies)).await;
    world.number(CALLS).await - before
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn ingest_sends_as_many_statements_for_10_reports_as_for_1000(pool: PgPool) {
    let world = World::new(pool).await;
    let reports = |from: u128, n: u128| -> Vec<Value> {
        (from..from + n)
            .map(|id| {
                let report = report(id, &[(user(id), 1, 2), (user(id + 1), 3, 4)]);
                with(
                    report,
                    "/metrics",
                    json!({ "cpu_percent": 1.5, "online_users": 2 }),
                )
            })
            .collect()
    };
    let ten = statements(&world, &world.ingest(), &reports(1, 10)).await;
    let thousand = statements(&world, &world.ingest(), &reports(1_000, 1_000)).await;
    assert_eq!(ten, thousand);
    assert!((1..=8).contains(&ten), "{ten} statements");
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn delivery_sends_as_many_statements_for_10_orders_as_for_1000(pool: PgPool) {
    let world = World::new(pool).await;
    let series = Uuid::from_u128(7);
    world.package(GIB, 30).await;
    world
        .sql(&format!(
            "update telecom.package set is_master = true, series = '{series}'"
        ))
        .await;
    let messages = |from: u128, n: u128| -> Vec<Value> {
        let order = |n: u128| {
            json!({ "type": "package.order.v1", "order_id": Uuid::from_u128(n), "user": user(n),
                "series": series, "amount": 2 })
        };
        let cancelled = |n: u128| {
            let order_id = Uuid::from_u128(n);
            json!({ "type": "package.order_cancelled.v1", "order_id": order_id })
        };
        let orders = (from..from + n).map(order);
        // Half of the orders of the previous delivery.
        let cancellations = (from - n / 2..from).map(cancelled);
        orders.chain(cancellations).collect()
    };
    statements(&world, &world.orders(), &messages(10_000, 1_000)).await;
    let ten = statements(&world, &world.orders(), &messages(11_000, 10)).await;
    let thousand = statements(&world, &world.orders(), &messages(11_010, 1_000)).await;
    assert_eq!(ten, thousand);
    assert!((1..=16).contains(&ten), "{ten} statements");
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn billing_sends_as_many_statements_for_10_events_as_for_1000(pool: PgPool) {
    let world = World::new(pool).await;
    let package = world.package(GIB, 30).await;
    for n in 0..1_000 {
        world.active_item(user(n), package).await;
    }
    let batch = |id: u128, n: u128| -> Vec<Value> {
        let event = |n| {
            json!({
                "server_id": SERVER, "user": user(n), "billed_upload": 1, "billed_download": 2,
                    "time": at(NOW).timestamp()
            })
        };
        vec![json!({ "batch_id": Uuid::from_u128(id),
                "events": (0..n).map(event).collect::<Vec<_>>() })]
    };
    let ten = statements(&world, &world.hook(), &batch(1, 10)).await;
    let thousand = statements(&world, &world.hook(), &batch(2, 1_000)).await;
    assert_eq!(ten, thousand);
    assert!((1..=12).contains(&ten), "{ten} statements");
}
