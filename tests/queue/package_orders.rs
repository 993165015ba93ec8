//! Orders of the shop are delivered once, and a cancelled order leaves nothing open.

use futures::future::join_all;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};
use shared::config::TelecomConfig;
use shared::domain::order::NewOrder;
use shared::services::Processor;
use shared::services::change::Requested;
use shared::services::manage::{CancelOrder, DeliverOrder, ManageService};
use sqlx::PgPool;
use telecom_tests::log::Log;
use telecom_tests::report::{texts, with};
use telecom_tests::{GIB, World, actor, deliver, failures, message_id, user};
use uuid::Uuid;

/// The series of overlapping deliveries.
const SERIES: Uuid = Uuid::from_u128(7);

fn order(id: u128, user: Uuid, series: Uuid, amount: i32) -> Value {
    json!({ "type": "package.order.v1", "order_id": Uuid::from_u128(id), "user": user,
        "series": series, "amount": amount })
}

fn cancellation(id: u128) -> Value {
    json!({ "type": "package.order_cancelled.v1", "order_id": Uuid::from_u128(id) })
}

/// Adds a package that is sold, and returns its series.
async fn series(world: &World) -> Uuid {
    let package = world.package(GIB, 30).await;
    sqlx::query_scalar("update telecom.package set is_master = true where id = $1 returning series")
        .bind(package)
        .fetch_one(&world.pool)
        .await
        .unwrap()
}

/// Delivers the messages and returns the ids of those that failed.
async fn send(world: &World, bodies: &[Value]) -> Vec<String> {
    failures(&deliver(&world.orders(), &texts(bodies)).await)
}

async fn assert_all_accepted(world: &World, bodies: &[Value]) {
    assert_eq!(send(world, bodies).await, Vec::<String>::new());
}

async fn fact_names(world: &World) -> Vec<String> {
    let facts = world.facts().await.into_iter();
    facts.map(|(name, _)| name).collect()
}

/// What is stored of an order: user, amount, package, and whether it is cancelled.
async fn stored(world: &World, id: u128) -> (Option<Uuid>, Option<i32>, Option<i64>, bool) {
    sqlx::query_as(
        "select user_id, amount, package_id, cancelled_at is not null from telecom.package_order
        where order_id = $1",
    )
    .bind(Uuid::from_u128(id))
    .fetch_one(&world.pool)
    .await
    .unwrap()
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn order_is_delivered_once_however_often_its_message_arrives(pool: PgPool) {
    let world = World::new(pool).await;
    let message = [order(1, user(1), series(&world).await, 3)];
    let twice = [message[0].clone(), message[0].clone()];
    let deliveries = (0..4).map(|_| assert_all_accepted(&world, &twice));
    join_all(deliveries).await;
    // A crash between the commit and the acknowledgement also delivers the message again.
    assert_all_accepted(&world, &message).await;
    assert_eq!(
        world.item_statuses(user(1)).await,
        ["active", "in_queue", "in_queue"]
    );
    let facts = world.facts().await;
    assert_eq!(
        fact_names(&world).await,
        ["PackageDelivered", "PackageActivated"]
    );
    let items = facts[0].1["package_queue_ids"].as_array().unwrap();
    assert_eq!(
        (items.len(), &facts[1].1["package_queue_id"]),
        (3, &items[0])
    );
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn bad_orders_fail_alone_among_valid_ones(pool: PgPool) {
    let world = World::new(pool).await;
    let series = series(&world).await;
    let good = |id: u128| order(id, user(id), series, 1);
    let bodies = [
        good(1),
        json!({}),
        order(2, user(2), Uuid::from_u128(404), 1),
        good(3),
        with(good(4), "/amount", json!(121)),
        with(good(5), "/type", json!("package.order.v2")),
        order(1, user(1), series, 2),
        cancellation(6),
        good(7),
    ];
    let bad = [1, 2, 4, 5, 6].map(message_id);
    assert_eq!(send(&world, &bodies).await, bad);
    assert_eq!(send(&world, &bodies).await, bad, "a repeat");
    for (n, items) in [(1, 1), (2, 0), (3, 1), (4, 0), (5, 0), (7, 1)] {
        assert_eq!(world.item_statuses(user(n)).await.len(), items, "user({n})");
    }
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn order_id_with_another_body_is_refused_with_the_reason_in_the_log(pool: PgPool) {
    let world = World::new(pool).await;
    let (series, other) = (series(&world).await, series(&world).await);
    assert_all_accepted(&world, &[order(1, user(1), series, 1)]).await;
    let log = Log::begin();
    let changed = [
        order(1, user(2), series, 1),
        order(1, user(1), other, 1),
        order(1, user(1), series, 2),
    ];
    assert_eq!(send(&world, &changed).await, [0, 1, 2].map(message_id));
    let logged = log.take_text();
    let reason = r#""error_code":"order_id_reused""#;
    assert_eq!(logged.matches(reason).count(), 3, "{logged}");
    assert!(logged.contains(r#""disposition":"Reject""#), "{logged}");
    assert_eq!(world.item_statuses(user(1)).await, ["active"]);
    assert_eq!(world.item_statuses(user(2)).await, Vec::<String>::new());
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn order_is_refused_while_its_series_has_no_master(pool: PgPool) {
    let world = World::new(pool).await;
    let series = series(&world).await;
    let (known, new) = (order(1, user(1), series, 1), order(2, user(2), series, 1));
    assert_all_accepted(&world, std::slice::from_ref(&known)).await;
    world
        .sql("update telecom.package set is_master = false, retired_at = now()")
        .await;
    // The order that was delivered before is only repeated.
    let refused = send(&world, &[known.clone(), new.clone()]).await;
    assert_eq!(refused, [message_id(1)]);
    world
        .sql("update telecom.package set is_master = true, retired_at = null")
        .await;
    assert_all_accepted(&world, &[known, new]).await;
    assert_eq!(world.item_statuses(user(1)).await, ["active"]);
    assert_eq!(world.item_statuses(user(2)).await, ["active"]);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn order_that_arrives_after_its_cancellation_delivers_nothing(pool: PgPool) {
    let world = World::new(pool).await;
    let series = series(&world).await;
    assert_all_accepted(&world, &[cancellation(1)]).await;
    assert_all_accepted(&world, &[order(1, user(1), series, 2), cancellation(1)]).await;
    assert_eq!(world.item_statuses(user(1)).await, Vec::<String>::new());
    assert_eq!(fact_names(&world).await, Vec::<String>::new());
    assert_eq!(stored(&world, 1).await, (None, None, None, true));
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn order_delivered_together_with_its_cancellation_delivers_nothing(pool: PgPool) {
    let world = World::new(pool).await;
    let series = series(&world).await;
    let first = order(1, user(1), series, 2);
    // The order of the messages in a delivery is not that in which they were sent.
    let second = order(2, user(1), series, 2);
    let messages = [first.clone(), cancellation(1), cancellation(2), second];
    assert_all_accepted(&world, &messages).await;
    assert_all_accepted(&world, &messages).await;
    assert_eq!(world.item_statuses(user(1)).await, Vec::<String>::new());
    assert_eq!(fact_names(&world).await, Vec::<String>::new());
    for id in [1, 2] {
        let kept = (Some(user(1)), Some(2), None, true);
        assert_eq!(stored(&world, id).await, kept);
    }
    let reused = with(first, "/amount", json!(3));
    assert_eq!(send(&world, &[reused]).await, [message_id(0)]);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn cancelled_order_ends_its_open_items_and_keeps_what_was_used(pool: PgPool) {
    let world = World::new(pool).await;
    let series = series(&world).await;
    assert_all_accepted(
        &world,
        &[order(1, user(1), series, 3), order(2, user(1), series, 1)],
    )
    .await;
    // The first item is used up, the second one is active and partly used.
    for (id, bytes) in [(1, GIB), (2, 5)] {
        let body = telecom_tests::report::report(id, &[(user(1), bytes, 0)]);
        world.assert_reports_accepted(&[body.to_string()]).await;
        world.deliver_all().await;
    }
    world.sql("delete from telecom.outbox").await;
    let cancel = [cancellation(1)];
    join_all((0..4).map(|_| assert_all_accepted(&world, &cancel))).await;
    assert_eq!(
        world.items(user(1)).await,
        [
            ("consumed".into(), GIB, 0),
            ("cancelled".into(), 5, 0),
            ("cancelled".into(), 0, 0),
            ("active".into(), 0, 0)
        ]
    );
    assert_eq!(
        fact_names(&world).await,
        ["PackageCancelled", "PackageCancelled", "PackageActivated"]
    );
    assert_all_accepted(&world, &[cancellation(2)]).await;
    assert_eq!(
        fact_names(&world).await[3..],
        ["PackageCancelled", "PackageQueueEmptied"]
    );
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn order_replaces_the_order_that_is_cancelled_in_the_same_delivery(pool: PgPool) {
    let world = World::new(pool).await;
    let series = series(&world).await;
    assert_all_accepted(&world, &[order(1, user(1), series, 1)]).await;
    assert_all_accepted(&world, &[cancellation(1), order(2, user(1), series, 2)]).await;
    assert_eq!(
        world.item_statuses(user(1)).await,
        ["cancelled", "active", "in_queue"]
    );
    assert!(
        !fact_names(&world)
            .await
            .contains(&"PackageQueueEmptied".to_owned())
    );
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn orders_of_a_user_are_used_in_the_order_of_their_messages(pool: PgPool) {
    let world = World::new(pool).await;
    let series = series(&world).await;
    let orders: Vec<Value> = [9, 3, 6].map(|id| order(id, user(1), series, 2)).to_vec();
    assert_all_accepted(&world, &orders).await;
    let by_order: Vec<Uuid> =
        sqlx::query_scalar("select by_order from telecom.package_queue order by created_at, id")
            .fetch_all(&world.pool)
            .await
            .unwrap();
    assert_eq!(by_order, [9, 9, 3, 3, 6, 6].map(Uuid::from_u128));
}

/// The messages of one of five deliveries that happen at once, to users who have no package yet.
/// Every other round, all deliveries also have the same orders, half of them with a cancellation.
fn overlapping(round: u128, worker: u64) -> Vec<Value> {
    let first_id = round * 10_000;
    let owner = |n: u128| user(round * 100 + n);
    let own_id = first_id + u128::from(worker) * 100;
    let own = (0..12).map(|n| order(own_id + n, owner(n), SERIES, 1));
    let has_shared = round % 2 == 1;
    let shared_id = first_id + 9_000;
    let shared = (0..12).map(|n| order(shared_id + n, owner(n), SERIES, 1));
    let cancelled = (0..6).map(|n| cancellation(shared_id + n));
    let shared = shared.chain(cancelled).filter(|_| has_shared);
    let mut messages: Vec<Value> = own.chain(shared).collect();
    messages.shuffle(&mut ChaCha8Rng::seed_from_u64(worker));
    messages
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn deliveries_to_the_same_users_neither_deadlock_nor_repeat(pool: PgPool) {
    let world = World::new(pool).await;
    world.package(GIB, 30).await;
    world
        .sql(&format!(
            "update telecom.package set is_master = true, series = '{SERIES}'"
        ))
        .await;
    let log = Log::begin();
    for round in 0..6 {
        let deliveries = (0..5).map(|worker| {
            let (world, messages) = (&world, overlapping(round, worker));
            async move { assert_all_accepted(world, &messages).await }
        });
        join_all(deliveries).await;
        for n in 0..12 {
            let statuses = world.item_statuses(user(round * 100 + n)).await;
            let active = statuses.iter().filter(|status| *status == "active");
            let shared = usize::from(round % 2 == 1 && n >= 6);
            let expected = (5 + shared, 1);
            assert_eq!((statuses.len(), active.count()), expected, "{round} {n}");
        }
    }
    let text = log.take_text();
    assert!(text.contains("orders delivered and cancelled"), "{text}");
    // A transaction that waits for another in vain, or activates a second item, is repeated.
    assert!(!text.contains("transaction retried"), "{text}");
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn orders_have_the_same_ids_in_the_queue_and_in_the_api(pool: PgPool) {
    let world = World::new(pool).await;
    let series = series(&world).await;
    let manage = ManageService::new(world.api.clone(), world.context(), TelecomConfig::default());
    let by_api = |id: u128| {
        let order = NewOrder {
            order_id: Uuid::from_u128(id),
            user: user(1),
            series,
            amount: 1,
        };
        Requested::by(actor(9), DeliverOrder(order))
    };
    assert_all_accepted(&world, &[order(1, user(1), series, 1)]).await;
    assert!(!manage.process(by_api(1)).await.unwrap().changed);
    assert!(manage.process(by_api(2)).await.unwrap().changed);
    assert_all_accepted(&world, &[order(2, user(1), series, 1)]).await;
    assert_eq!(world.item_statuses(user(1)).await, ["active", "in_queue"]);
    let cancel = CancelOrder {
        order_id: Uuid::from_u128(1),
        reason: "refund".to_owned(),
    };
    let cancelled = manage.process(Requested::by(actor(9), cancel)).await;
    assert!(cancelled.unwrap().changed);
    assert_all_accepted(&world, &[cancellation(1)]).await;
    assert_eq!(world.item_statuses(user(1)).await, ["cancelled", "active"]);
    // What the shop did has no administrator. The order itself is its record.
    let audited = "select count(*) from telecom.audit_entry";
    assert_eq!(world.number(audited).await, 2);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn order_is_retried_while_the_database_is_unreachable(_pool: PgPool) {
    let world = World::offline();
    let event = telecom_tests::event_of(&texts(&[order(1, user(1), user(2), 1)]));
    let event = serde_json::from_value(event).unwrap();
    let context = lambda_runtime::Context::default();
    let failed = shared::lambda::sqs::handle(&world.orders(), event, &context).await;
    let error = failed.unwrap_err();
    assert_eq!(error.disposition(), shared::error::Disposition::Retry);
}
