//! Packages expire by time, and every user with a waiting package gets an active one.

use serde_json::json;
use shared::services::Processor;
use shared::services::cron::Run;
use shared::services::cron::expire_packages::{Expired, PackageExpiringJob};
use sqlx::PgPool;
use telecom_tests::{GIB, NOW, SERVER, World, at, deliver, failures, user};
use uuid::Uuid;

async fn expire(world: &World) -> Expired {
    world
        .cron()
        .process(PackageExpiringJob(Run::default()))
        .await
        .unwrap()
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn package_expires_exactly_at_its_expiry_time(pool: PgPool) {
    let world = World::new(pool).await;
    let package = world.package(GIB, 1).await;
    world.active_item(user(1), package).await;
    world.waiting_item(user(1), package).await;
    world.clock.set(at("2026-03-11T10:29:59.999999Z"));
    assert_eq!(expire(&world).await.expiring, 0);
    world.clock.set(at("2026-03-11T10:30:00Z"));
    assert_eq!(expire(&world).await.expiring, 1);
    world.deliver_all().await;
    let statuses = world.item_statuses(user(1)).await;
    assert_eq!(statuses, ["consumed", "active"]);
    assert_eq!(world.facts().await[0].1["reason"], "time");
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn expiring_item_is_announced_once_and_consumed_by_the_next_run(pool: PgPool) {
    let world = World::new(pool).await;
    world
        .active_item(user(1), world.package(GIB, 1).await)
        .await;
    world.clock.set(at("2026-03-12T00:00:00Z"));
    let (a, b) = tokio::join!(expire(&world), expire(&world));
    assert_eq!((a.expiring + b.expiring, a.consumed + b.consumed), (1, 0));
    // The event has had no effect, because it was lost or its consumer is down.
    let run = expire(&world).await;
    assert_eq!((run.expiring, run.consumed), (0, 1));
    assert_eq!(world.take_outbox("package_expiring").await.len(), 1);
    assert_eq!(
        kinds(&world).await,
        ["PackageExpired", "PackageQueueEmptied"]
    );
}

async fn kinds(world: &World) -> Vec<String> {
    world
        .facts()
        .await
        .into_iter()
        .map(|(kind, _)| kind)
        .collect()
}

async fn statuses(world: &World) -> Vec<String> {
    world.item_statuses(user(1)).await
}

/// Gives user 1 a waiting item and an active item of 10,000 bytes, `used` of which are used.
async fn used_and_waiting(world: &World, used: i64) {
    let package = world.package(10_000, 30).await;
    world.active_item(user(1), package).await;
    world.waiting_item(user(1), package).await;
    charge(world, used).await;
}

async fn charge(world: &World, bytes: i64) {
    let event = json!({
        "event_id": Uuid::new_v4(), "server_id": SERVER, "user": user(1), "billed_upload": bytes,
            "billed_download": 0,
        "time": at(NOW).timestamp(),
    });
    assert!(failures(&deliver(&world.hook(), &[event.to_string()]).await).is_empty());
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn raised_quota_that_is_used_up_ends_the_item_in_the_next_run(pool: PgPool) {
    let world = World::new(pool).await;
    used_and_waiting(&world, 10_000).await;
    world
        .sql("update telecom.package_queue set adjust_quota_bytes = 5000 where status = 'active'")
        .await;
    // The event of the first exhaustion is handled after the raise and finds quota left.
    for body in world.take_outbox("package_expiring").await {
        assert!(failures(&deliver(&world.expiring(), &[body]).await).is_empty());
    }
    assert_eq!(statuses(&world).await, ["active", "in_queue"]);
    charge(&world, 5_000).await;
    assert_eq!(world.take_outbox("package_expiring").await.len(), 1);
    assert_eq!(expire(&world).await.consumed, 1);
    assert_eq!(statuses(&world).await, ["consumed", "active"]);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn lowered_quota_ends_an_item_without_another_charge(pool: PgPool) {
    let world = World::new(pool).await;
    used_and_waiting(&world, 6_000).await;
    world
        .sql("update telecom.package_queue set adjust_quota_bytes = -5000 where status = 'active'")
        .await;
    assert_eq!(expire(&world).await.consumed, 1);
    assert_eq!(statuses(&world).await, ["consumed", "active"]);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn lowered_package_limit_ends_its_items(pool: PgPool) {
    let world = World::new(pool).await;
    used_and_waiting(&world, 6_000).await;
    world
        .sql("update telecom.package set traffic_limit_bytes = 5000")
        .await;
    assert_eq!(expire(&world).await.consumed, 1);
    assert_eq!(statuses(&world).await, ["consumed", "active"]);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn exhausted_item_whose_event_was_lost_ends_in_the_next_run(pool: PgPool) {
    let world = World::new(pool).await;
    used_and_waiting(&world, 10_000).await;
    world.take_outbox("package_expiring").await;
    world.clock.set(at("2026-03-10T10:50:00Z"));
    assert_eq!(expire(&world).await.consumed, 1);
    assert_eq!(statuses(&world).await, ["consumed", "active"]);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn expiring_mark_of_an_item_with_quota_left_is_cleared(pool: PgPool) {
    let world = World::new(pool).await;
    used_and_waiting(&world, 1_000).await;
    world
        .sql("update telecom.package_queue set expiring_event_at = now() where status = 'active'")
        .await;
    assert_eq!(expire(&world).await.consumed, 0);
    assert_eq!(
        world
            .number("select count(expiring_event_at) from telecom.package_queue")
            .await,
        0
    );
    assert_eq!(statuses(&world).await, ["active", "in_queue"]);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn marked_items_are_found_through_their_index(pool: PgPool) {
    let world = World::new(pool).await;
    world.sql("set enable_seqscan = off").await;
    let plan: Vec<String> = sqlx::query_scalar(
        "explain select id, user_id from telecom.package_queue
         where status = 'active' and expiring_event_at is not null and id > 0 order by id
         limit 1000 for update skip locked",
    )
    .fetch_all(&world.pool)
    .await
    .unwrap();
    assert!(
        plan.iter()
            .any(|line| line.contains("Index Scan using package_queue_expiring_idx")),
        "{plan:?}"
    );
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn raised_quota_rearms_the_thresholds_above_the_used_share(pool: PgPool) {
    let world = World::new(pool).await;
    used_and_waiting(&world, 8_100).await;
    world
        .sql("update telecom.package_queue set adjust_quota_bytes = 5000 where status = 'active'")
        .await;
    charge(&world, 3_900).await;
    let percents: Vec<i64> = world
        .facts()
        .await
        .iter()
        .map(|(_, detail)| detail["percent"].as_i64().unwrap_or_default())
        .collect();
    // Used are 8,100 of 10,000, then 8,100 of 15,000 (54 %), then 12,000 of 15,000.
    assert_eq!(percents, [50, 80, 80]);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn locked_waiting_item_delays_no_other_user(pool: PgPool) {
    let world = World::new(pool).await;
    let package = world.package(GIB, 1).await;
    world.waiting_item(user(1), package).await;
    world.waiting_item(user(2), package).await;
    let mut lock_holder = world.pool.begin().await.unwrap();
    let lock = "select from telecom.package_queue where user_id = $1 for update";
    sqlx::query(lock)
        .bind(user(1))
        .execute(&mut *lock_holder)
        .await
        .unwrap();
    assert_eq!(expire(&world).await.activated, 1);
    lock_holder.rollback().await.unwrap();
    assert_eq!(expire(&world).await.activated, 1);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn user_without_an_active_package_gets_the_oldest_waiting_one(pool: PgPool) {
    let world = World::new(pool).await;
    let package = world.package(GIB, 1).await;
    world.waiting_item(user(1), package).await;
    world.waiting_item(user(1), package).await;
    world.active_item(user(2), package).await;
    world.waiting_item(user(2), package).await;
    let (a, b) = tokio::join!(expire(&world), expire(&world));
    assert_eq!(a.activated + b.activated, 1);
    let statuses = world.item_statuses(user(1)).await;
    assert_eq!(statuses, ["active", "in_queue"]);
    assert_eq!(world.facts().await[0].0, "PackageActivated");
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_run_leaves_one_row_of_counts_per_package_and_status(pool: PgPool) {
    const ROWS: &str = "select count(*) from telecom.package_queue_count";
    let world = World::new(pool).await;
    let package = world.package(GIB, 1).await;
    for n in 0..5 {
        world.active_item(user(n), package).await;
        world.waiting_item(user(n), package).await;
    }
    assert_eq!(world.number(ROWS).await, 20);
    expire(&world).await;
    assert_eq!(world.number(ROWS).await, 2);
    // The first run announces the items, and the second one consumes them.
    world.clock.set(at("2026-03-12T00:00:00Z"));
    expire(&world).await;
    expire(&world).await;
    let counts = "select count(*) from telecom.package_queue_count
        where items = 5 and status in ('consumed', 'active')";
    assert_eq!(
        (world.number(ROWS).await, world.number(counts).await),
        (2, 2)
    );
}
