//! Each billing event is charged once to the active package, however often it is delivered.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use chrono::TimeDelta;
use futures::future::join_all;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};
use shared::config::TelecomConfig;
use sqlx::PgPool;
use telecom_tests::report::{texts, with};
use telecom_tests::{CLIENT, GIB, NOW, SERVER, World, at, deliver, failures, message_id, user};
use uuid::Uuid;

fn event(user: Uuid, upload: i64, download: i64) -> Value {
    json!({
        "server_id": SERVER, "user": user, "billed_upload": upload, "billed_download": download,
        "time": at(NOW).timestamp()
    })
}

fn batch(id: u128, events: &[Value]) -> Value {
    json!({ "batch_id": Uuid::from_u128(id), "events": events })
}

/// Delivers the messages and returns the ids of those that failed.
async fn apply(world: &World, bodies: &[Value]) -> Vec<String> {
    failures(&deliver(&world.hook(), &texts(bodies)).await)
}

/// Delivers the messages and asserts that none of them failed.
async fn assert_all_applied(world: &World, bodies: &[Value]) {
    assert_eq!(apply(world, bodies).await, Vec::<String>::new());
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn specification_event_is_charged_to_the_active_package(pool: PgPool) {
    let world = World::new(pool).await;
    world
        .active_item(user(1), world.package(GIB, 30).await)
        .await;
    assert_all_applied(&world, &[event(user(1), 10, 20)]).await;
    assert_eq!(world.items(user(1)).await, [("active".into(), 10, 20)]);
    // The event names no raw bytes, so the billed bytes are recorded as raw bytes too.
    assert_eq!(world.usage(user(1)).await, [10, 20, 10, 20]);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn usage_without_any_package_is_recorded_but_charged_to_no_item(pool: PgPool) {
    let world = World::new(pool).await;
    assert_all_applied(&world, &[event(user(2), 1, 2)]).await;
    assert_eq!(world.usage(user(2)).await, [1, 2, 1, 2]);
    assert_eq!(
        world
            .number(
                "select count(*) from telecom.user_package_usage where package_queue_id is null"
            )
            .await,
        1
    );
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn usage_activates_the_oldest_waiting_package_if_none_is_active(pool: PgPool) {
    let world = World::new(pool).await;
    let package = world.package(GIB, 30).await;
    world.waiting_item(user(1), package).await;
    world.waiting_item(user(1), package).await;
    assert_all_applied(&world, &[event(user(1), 10, 20)]).await;
    assert_eq!(
        world.items(user(1)).await,
        [("active".into(), 10, 20), ("in_queue".into(), 0, 0)]
    );
    assert_eq!(world.facts().await[0].0, "PackageActivated");
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn unlimited_package_reaches_no_threshold_and_is_never_exhausted(pool: PgPool) {
    let world = World::new(pool).await;
    world
        .active_item(user(1), world.package(None, 30).await)
        .await;
    assert_all_applied(&world, &[event(user(1), 1 << 59, 1 << 59)]).await;
    world.deliver_all().await;
    assert_eq!(
        world.items(user(1)).await,
        [("active".into(), 1 << 59, 1 << 59)]
    );
    assert_eq!(world.facts().await, []);
}

/// While usage is charged, the active item is repeatedly consumed and the next one activated. The
/// item that the charge waits for may no longer be active when its lock is granted.
#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn usage_is_charged_to_an_item_while_the_active_item_changes(pool: PgPool) {
    let world = World::new(pool).await;
    let package = world.package(None, 30).await;
    world.active_item(user(1), package).await;
    world.waiting_item(user(1), package).await;
    let is_over = AtomicBool::new(false);
    let replace_active_item = async {
        while !is_over.load(Ordering::Relaxed) {
            world.waiting_item(user(1), package).await;
            let mut tx = world.pool.begin().await.unwrap();
            for step in [
                "update telecom.package_queue set status = 'consumed', ended_at = now(), \
                 end_reason = 'time' where status = 'active'",
                "update telecom.package_queue set status = 'active', activated_at = now(),
                expires_at = now() + interval '1 day'
                 where id = (select min(id) from telecom.package_queue where status = 'in_queue')",
            ] {
                sqlx::query(step).execute(&mut *tx).await.unwrap();
                tokio::time::sleep(Duration::from_micros(500)).await;
            }
            tx.commit().await.unwrap();
        }
    };
    let charge = async {
        for id in 0..150 {
            assert_all_applied(&world, &[batch(id, &[event(user(1), 1, 0)])]).await;
        }
        is_over.store(true, Ordering::Relaxed);
    };
    tokio::join!(replace_active_item, charge);
    // If the item changes in every round of a charge, the usage is parked and charged later.
    world.clock.set(at(NOW) + TimeDelta::hours(1));
    world.bill().await;
    let parked = "select count(*) from telecom.parked_event";
    assert_eq!(world.number(parked).await, 0);
    let without_item =
        "select count(*) from telecom.user_package_usage where package_queue_id is null";
    assert_eq!(world.number(without_item).await, 0);
    assert_eq!(
        world
            .number("select sum(upload_bytes)::bigint from telecom.package_queue")
            .await,
        150
    );
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn event_id_inside_a_batch_is_refused(pool: PgPool) {
    let world = World::new(pool).await;
    let named = with(event(user(1), 1, 0), "/event_id", json!(Uuid::from_u128(7)));
    assert_eq!(
        apply(
            &world,
            &[batch(1, &[named]), batch(2, &[event(user(1), 1, 0)])]
        )
        .await,
        [message_id(0)]
    );
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn event_without_an_id_is_refused_if_event_ids_are_required(pool: PgPool) {
    let world = World::new(pool).await;
    let hook = world.hook().with_config(&TelecomConfig {
        require_event_id: true,
        ..TelecomConfig::default()
    });
    let named = with(event(user(1), 1, 0), "/event_id", json!(Uuid::from_u128(7)));
    let bodies = texts(&[
        event(user(1), 1, 0),
        named,
        batch(1, &[event(user(1), 1, 0)]),
    ]);
    assert_eq!(failures(&deliver(&hook, &bodies).await), [message_id(0)]);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn batch_delivered_concurrently_and_again_counts_once(pool: PgPool) {
    let world = World::new(pool).await;
    world
        .active_item(user(1), world.package(GIB, 30).await)
        .await;
    let body = [batch(1, &[event(user(1), 10, 20), event(user(1), 1, 2)])];
    let (first, second) = tokio::join!(apply(&world, &body), apply(&world, &body));
    assert!(first.is_empty() && second.is_empty() && apply(&world, &body).await.is_empty());
    assert_eq!(world.items(user(1)).await, [("active".into(), 11, 22)]);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn idempotency_key_is_the_event_id_or_else_the_message_id(pool: PgPool) {
    let world = World::new(pool).await;
    let (bare, named) = (
        event(user(1), 1, 0),
        with(
            event(user(1), 100, 0),
            "/event_id",
            json!(Uuid::from_u128(7)),
        ),
    );
    // Two messages with the same event and no event id are two charges. A redelivery of either
    // message is not charged again.
    assert_all_applied(&world, &[bare.clone(), bare.clone()]).await;
    assert_all_applied(&world, &[bare.clone(), bare]).await;
    assert_eq!(world.usage(user(1)).await[0], 2);
    assert_all_applied(&world, &[named.clone(), named]).await;
    assert_eq!(world.usage(user(1)).await[0], 102);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn batch_id_reused_with_other_events_is_refused(pool: PgPool) {
    let world = World::new(pool).await;
    let (first, other) = (
        batch(1, &[event(user(1), 10, 0)]),
        batch(1, &[event(user(1), 11, 0)]),
    );
    assert_all_applied(&world, std::slice::from_ref(&first)).await;
    assert_eq!(
        apply(&world, &[first, other, batch(2, &[event(user(1), 1, 0)])]).await,
        [message_id(1)]
    );
    assert_eq!(world.usage(user(1)).await[0], 11);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn overflowing_sum_fails_only_its_own_message(pool: PgPool) {
    let world = World::new(pool).await;
    world
        .active_item(user(1), world.package(GIB, 30).await)
        .await;
    let huge = |id| batch(id, &[event(user(1), i64::MAX, 0)]);
    let bodies = [
        batch(1, &[event(user(1), 5, 0)]),
        huge(2),
        batch(3, &[event(user(2), 7, 0)]),
    ];
    assert_eq!(apply(&world, &bodies).await, [message_id(1)]);
    assert_eq!(
        (world.usage(user(1)).await[0], world.usage(user(2)).await[0]),
        (5, 7)
    );
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn negative_bytes_and_impossible_times_are_refused(pool: PgPool) {
    let world = World::new(pool).await;
    let milliseconds = with(
        event(user(1), 1, 1),
        "/time",
        json!(at(NOW).timestamp_millis()),
    );
    let bodies = [
        event(user(1), -1, 0),
        milliseconds,
        batch(1, &[]),
        json!({ "user": user(1) }),
        event(user(1), 1, 1),
    ];
    assert_eq!(
        apply(&world, &bodies).await,
        (0..4).map(message_id).collect::<Vec<_>>()
    );
    assert_eq!(world.usage(user(1)).await, [1, 1, 1, 1]);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn unknown_server_fails_only_its_own_message(pool: PgPool) {
    let world = World::new(pool).await;
    let unknown = with(event(user(1), 1, 1), "/server_id", json!(404));
    let bodies = [
        batch(1, &[event(user(1), 1, 1), unknown]),
        batch(2, &[event(user(1), 2, 2)]),
    ];
    assert_eq!(apply(&world, &bodies).await, [message_id(0)]);
    assert_eq!(world.usage(user(1)).await, [2, 2, 2, 2]);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn usage_is_recorded_in_the_hour_and_for_the_client_of_its_event(pool: PgPool) {
    let world = World::new(pool).await;
    let at_hour = |time: &str| {
        let event = with(event(user(1), 1, 0), "/time", json!(at(time).timestamp()));
        with(event, "/node_client_id", json!(CLIENT))
    };
    let bodies = [batch(
        1,
        &[
            "2026-03-10T09:00:00Z",
            "2026-03-10T09:59:59Z",
            "2026-03-10T10:00:00Z",
        ]
        .map(at_hour),
    )];
    assert_all_applied(&world, &bodies).await;
    let first_hour = "select sum(raw_upload_bytes)::bigint from telecom.user_package_usage
         where bucket_start = '2026-03-10 09:00Z' and node_client_id = 11";
    assert_eq!(world.number(first_hour).await, 2);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn one_batch_inserts_and_updates_rows_with_and_without_an_item(pool: PgPool) {
    let world = World::new(pool).await;
    let package = world.package(GIB, 30).await;
    for n in [1, 2] {
        world.active_item(user(n), package).await;
    }
    let through_client = with(event(user(1), 100, 0), "/node_client_id", json!(CLIENT));
    let second_and_third = [
        event(user(1), 10, 0),
        through_client,
        event(user(2), 10, 0),
        event(user(3), 10, 0),
        event(user(4), 10, 0),
    ];
    assert_all_applied(
        &world,
        &[batch(1, &[event(user(1), 1, 0), event(user(3), 1, 0)])],
    )
    .await;
    assert_all_applied(&world, &[batch(2, &second_and_third)]).await;
    assert_all_applied(&world, &[batch(3, &second_and_third)]).await;
    for (n, bytes) in [(1, 221), (2, 20), (3, 21), (4, 20)] {
        assert_eq!(world.usage(user(n)).await, [bytes, 0, bytes, 0]);
    }
    let rows = "select count(*) * 10 + count(package_queue_id) from telecom.user_package_usage";
    assert_eq!(world.number(rows).await, 53);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn each_quota_threshold_is_published_once(pool: PgPool) {
    let world = World::new(pool).await;
    let item = world
        .active_item(user(1), world.package(100, 30).await)
        .await;
    for (id, upload) in [(1, 49), (2, 1), (3, 1), (4, 45)] {
        assert_all_applied(&world, &[batch(id, &[event(user(1), upload, 0)])]).await;
    }
    let announced: Vec<(String, i64, i64)> = world
        .facts()
        .await
        .into_iter()
        .map(|(kind, detail)| {
            (
                kind,
                detail["percent"].as_i64().unwrap(),
                detail["package_queue_id"].as_i64().unwrap(),
            )
        })
        .collect();
    let reached = |percent| ("QuotaThresholdReached".to_owned(), percent, item);
    assert_eq!(announced, [reached(50), reached(80), reached(95)]);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn exhaustion_is_published_once_and_usage_beyond_the_limit_is_kept(pool: PgPool) {
    let world = World::new(pool).await;
    let item = world
        .active_item(user(1), world.package(100, 30).await)
        .await;
    for id in [1, 2] {
        assert_all_applied(&world, &[batch(id, &[event(user(1), 60, 60)])]).await;
    }
    let expiring = world.take_outbox("package_expiring").await;
    let expiring: Vec<Value> = expiring
        .iter()
        .map(|body| serde_json::from_str(body).unwrap())
        .collect();
    assert_eq!(expiring.len(), 1);
    assert_eq!(
        (&expiring[0]["package_queue_id"], &expiring[0]["reason"]),
        (&json!(item), &json!("traffic"))
    );
    assert_eq!(world.items(user(1)).await, [("active".into(), 120, 120)]);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn eight_workers_with_shuffled_batches_neither_deadlock_nor_miscount(pool: PgPool) {
    let world = World::new(pool).await;
    let package = world.package(1 << 60, 30).await;
    for n in 0..500 {
        world.active_item(user(n), package).await;
    }
    let workers = (0..8_u64).map(|worker| {
        let world = world.clone();
        tokio::spawn(async move {
            let mut random = ChaCha8Rng::seed_from_u64(worker);
            let mut users: Vec<u128> = (0..500).collect();
            for round in 0..10_u128 {
                users.shuffle(&mut random);
                let events: Vec<Value> = users.iter().map(|n| event(user(*n), 1, 2)).collect();
                let bodies = events.chunks(100).enumerate().map(|(chunk, events)| {
                    batch(
                        u128::from(worker) << 64 | round << 32 | chunk as u128,
                        events,
                    )
                });
                assert_all_applied(&world, &bodies.collect::<Vec<_>>()).await;
            }
        })
    });
    for worker in join_all(workers).await {
        worker.unwrap();
    }
    let wrong = "select count(*) from telecom.package_queue where (upload_bytes, \
        download_bytes) <> (80, 160)";
    assert_eq!(world.number(wrong).await, 0);
    let deadlocks = "select deadlocks from pg_stat_database where datname = current_database()";
    assert_eq!(world.number(deadlocks).await, 0);
}
