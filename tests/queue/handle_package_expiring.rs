//! An exhausted package is consumed once, and the oldest waiting package is activated.

use serde_json::{Value, json};
use shared::services::Processor;
use shared::services::cron::Run;
use shared::services::cron::expire_packages::PackageExpiringJob;
use sqlx::PgPool;
use telecom_tests::report::texts;
use telecom_tests::{GIB, NOW, World, at, deliver, failures, message_id, user};
use uuid::Uuid;

use super::ingest_usage_report::assert_all_accepted;

/// Delivers the events and asserts that no message failed.
async fn expire(world: &World, events: &[(i64, Uuid)]) {
    let bodies: Vec<Value> = events
        .iter()
        .map(|(item, user)| {
            json!({ "event_id": Uuid::new_v4(), "package_queue_id": item, "user": user,
                "reason": "traffic", "time": at(NOW) })
        })
        .collect();
    assert!(failures(&deliver(&world.expiring(), &texts(&bodies)).await).is_empty());
}

async fn use_up(world: &World, item: i64) {
    world
        .sql(&format!(
            "update telecom.package_queue set download_bytes = {GIB} where id = {item}"
        ))
        .await;
}

fn kinds(facts: &[(String, Value)]) -> Vec<&str> {
    facts.iter().map(|(kind, _)| kind.as_str()).collect()
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn oldest_waiting_package_is_activated_and_a_repeat_changes_nothing(pool: PgPool) {
    let world = World::new(pool).await;
    let package = world.package(GIB, 30).await;
    let first = world.active_item(user(1), package).await;
    let second = world.waiting_item(user(1), package).await;
    world.waiting_item(user(1), package).await;
    use_up(&world, first).await;

    expire(&world, &[(first, user(1)), (first, user(1))]).await;
    assert_eq!(
        world.item_statuses(user(1)).await,
        ["consumed", "active", "in_queue"]
    );
    let facts = world.facts().await;
    assert_eq!(kinds(&facts), ["PackageExpired", "PackageActivated"]);
    assert_eq!(
        (&facts[0].1["reason"], &facts[1].1["package_queue_id"]),
        (&json!("traffic"), &json!(second))
    );
    assert_eq!(facts[1].1["expires_at"], json!("2026-04-09T10:30:00Z"));

    expire(&world, &[(first, user(1))]).await;
    let again = [(first, user(1))];
    tokio::join!(expire(&world, &again), expire(&world, &again));
    assert_eq!(
        world.item_statuses(user(1)).await,
        ["consumed", "active", "in_queue"]
    );
    assert_eq!(world.facts().await.len(), 2);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn concurrent_consumers_activate_only_one_package(pool: PgPool) {
    let world = World::new(pool).await;
    let package = world.package(GIB, 30).await;
    let first = world.active_item(user(1), package).await;
    world.waiting_item(user(1), package).await;
    world.waiting_item(user(1), package).await;
    use_up(&world, first).await;
    let event = [(first, user(1))];
    tokio::join!(
        expire(&world, &event),
        expire(&world, &event),
        expire(&world, &event)
    );
    let statuses = world.item_statuses(user(1)).await;
    assert_eq!(statuses, ["consumed", "active", "in_queue"]);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn emptied_queue_is_published(pool: PgPool) {
    let world = World::new(pool).await;
    let item = world
        .active_item(user(1), world.package(GIB, 30).await)
        .await;
    use_up(&world, item).await;
    expire(&world, &[(item, user(1))]).await;
    assert_eq!(
        kinds(&world.facts().await),
        ["PackageExpired", "PackageQueueEmptied"]
    );
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn item_cancelled_concurrently_is_skipped_and_publishes_no_activation(pool: PgPool) {
    let world = World::new(pool).await;
    let package = world.package(GIB, 30).await;
    let first = world.active_item(user(1), package).await;
    let second = world.waiting_item(user(1), package).await;
    let third = world.waiting_item(user(1), package).await;
    use_up(&world, first).await;
    let mut cancellation = world.pool.begin().await.unwrap();
    let cancel = "update telecom.package_queue set status = 'cancelled', ended_at = now(), \
        end_reason = 'cancelled' where id = $1";
    sqlx::query(cancel)
        .bind(second)
        .execute(&mut *cancellation)
        .await
        .unwrap();
    let event = [(first, user(1))];
    let commit = async {
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        cancellation.commit().await.unwrap();
    };
    tokio::join!(expire(&world, &event), commit);
    let job = PackageExpiringJob(Run::default());
    world.cron().process(job).await.unwrap();
    assert_eq!(
        kinds(&world.facts().await),
        ["PackageExpired", "PackageActivated"]
    );
    assert_eq!(world.facts().await[1].1["package_queue_id"], json!(third));
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn item_whose_quota_was_raised_since_the_event_stays_active(pool: PgPool) {
    let world = World::new(pool).await;
    let item = world
        .active_item(user(1), world.package(GIB, 30).await)
        .await;
    use_up(&world, item).await;
    world
        .sql("update telecom.package_queue set adjust_quota_bytes = 1")
        .await;
    expire(&world, &[(item, user(1))]).await;
    assert_eq!(world.items(user(1)).await, [("active".into(), 0, GIB)]);
    assert_eq!(world.facts().await, []);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn zero_quota_package_is_consumed_as_soon_as_it_is_activated(pool: PgPool) {
    let world = World::new(pool).await;
    let (some, none) = (world.package(GIB, 30).await, world.package(0, 30).await);
    let first = world.active_item(user(1), some).await;
    world.waiting_item(user(1), none).await;
    world.waiting_item(user(1), some).await;
    use_up(&world, first).await;
    expire(&world, &[(first, user(1))]).await;
    world.deliver_all().await;
    let statuses = world.item_statuses(user(1)).await;
    assert_eq!(statuses, ["consumed", "consumed", "active"]);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn reported_usage_that_reaches_the_limit_activates_the_next_package(pool: PgPool) {
    let world = World::new(pool).await;
    let package = world.package(100, 30).await;
    world.active_item(user(1), package).await;
    world.waiting_item(user(1), package).await;
    let body = telecom_tests::report::report(1, &[(user(1), 60, 70)]);
    assert_all_accepted(&world, &texts(&[body])).await;
    world.deliver_all().await;
    assert_eq!(
        world.items(user(1)).await,
        [("consumed".into(), 60, 70), ("active".into(), 0, 0)]
    );
    let facts = world.facts().await;
    assert_eq!(kinds(&facts)[3..], ["PackageExpired", "PackageActivated"]);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn malformed_event_fails(pool: PgPool) {
    let world = World::new(pool).await;
    let response = deliver(&world.expiring(), &["{".to_owned()]).await;
    assert_eq!(failures(&response), [message_id(0)]);
}
