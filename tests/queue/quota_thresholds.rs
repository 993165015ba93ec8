//! Each configured percentage of a quota is published once per item, and again after a raise.

use futures::future::join_all;
use serde_json::json;
use shared::config::TelecomConfig;
use shared::domain::levels::{Levels, QUOTA_PERCENT};
use shared::services::queue::apply_user_usage_billing::TelecomBillingHook;
use sqlx::PgPool;
use telecom_tests::{NOW, SERVER, World, at, deliver, failures, user};
use uuid::Uuid;

/// A world in which user 1 has an active package of 1,000 bytes.
async fn world(pool: PgPool) -> World {
    let world = World::new(pool).await;
    let package = world.package(1_000, 30).await;
    world.active_item(user(1), package).await;
    world
}

/// The consumer of a deployment with other thresholds.
fn hook_with(world: &World, percent: &[i16]) -> TelecomBillingHook {
    world.hook().with_config(&TelecomConfig {
        quota_thresholds_percent: Levels::new(percent, &QUOTA_PERCENT).unwrap(),
        ..TelecomConfig::default()
    })
}

/// Charges bytes to user 1.
async fn charge(hook: &TelecomBillingHook, id: u128, bytes: i64) {
    let body = json!({
        "event_id": Uuid::from_u128(id), "server_id": SERVER, "user": user(1),
        "billed_upload": bytes, "billed_download": 0, "time": at(NOW).timestamp(),
    });
    let failed = failures(&deliver(hook, &[body.to_string()]).await);
    assert_eq!(failed, Vec::<String>::new());
}

/// Raises the quota by 1,000 bytes.
async fn raise(world: &World) {
    world
        .sql("update telecom.package_queue set adjust_quota_bytes = adjust_quota_bytes + 1000")
        .await;
}

/// The published thresholds in ascending order.
async fn published(world: &World) -> Vec<i64> {
    let facts = world.facts().await.into_iter();
    let mut percents: Vec<i64> = facts
        .filter(|(kind, _)| kind == "QuotaThresholdReached")
        .map(|(_, detail)| detail["percent"].as_i64().unwrap())
        .collect();
    percents.sort_unstable();
    percents
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn configured_thresholds_are_published_once_when_reached(pool: PgPool) {
    let world = world(pool).await;
    let hook = hook_with(&world, &[1, 33, 99]);
    for (id, bytes) in [(1, 9), (2, 1), (3, 319), (4, 1), (5, 659)] {
        charge(&hook, id, bytes).await;
    }
    assert_eq!(published(&world).await, [1, 33]);
    charge(&hook, 6, 1).await;
    // A repeated message.
    charge(&hook, 6, 1).await;
    assert_eq!(published(&world).await, [1, 33, 99]);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn without_thresholds_nothing_is_published(pool: PgPool) {
    let world = world(pool).await;
    charge(&hook_with(&world, &[]), 1, 999).await;
    assert_eq!(published(&world).await, Vec::<i64>::new());
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn concurrent_charges_publish_each_threshold_once(pool: PgPool) {
    let world = world(pool).await;
    let hook = hook_with(&world, &[10, 40, 70]);
    join_all((0..8).map(|id| charge(&hook, id, 100))).await;
    assert_eq!(published(&world).await, [10, 40, 70]);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn changed_thresholds_are_not_published_below_the_last_one(pool: PgPool) {
    let world = world(pool).await;
    charge(&world.hook(), 1, 810).await;
    let changed = hook_with(&world, &[60, 80, 82]);
    charge(&changed, 2, 1).await;
    assert_eq!(published(&world).await, [50, 80]);
    charge(&changed, 3, 9).await;
    assert_eq!(published(&world).await, [50, 80, 82]);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn an_added_threshold_is_published_by_the_next_charge(pool: PgPool) {
    let world = world(pool).await;
    charge(&world.hook(), 1, 700).await;
    let changed = hook_with(&world, &[50, 60, 80]);
    charge(&changed, 2, 1).await;
    charge(&changed, 3, 1).await;
    assert_eq!(published(&world).await, [50, 60]);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_raise_arms_configured_thresholds_above_the_used_share(pool: PgPool) {
    let world = world(pool).await;
    let hook = hook_with(&world, &[30, 45, 90]);
    charge(&hook, 1, 900).await;
    // 900 of 2,000 bytes are 45 %.
    raise(&world).await;
    charge(&hook, 2, 1).await;
    assert_eq!(published(&world).await, [30, 45, 90]);
    charge(&hook, 3, 899).await;
    assert_eq!(published(&world).await, [30, 45, 90, 90]);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_percentage_stored_by_a_raise_is_no_published_threshold(pool: PgPool) {
    let world = world(pool).await;
    charge(&world.hook(), 1, 810).await;
    // 810 of 2,000 bytes are 40.5 %. Item rows keep 40, which is no threshold.
    raise(&world).await;
    charge(&hook_with(&world, &[41, 80]), 2, 10).await;
    assert_eq!(published(&world).await, [41, 50, 80]);
}
