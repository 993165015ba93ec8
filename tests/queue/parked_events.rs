//! If one user of a batch cannot be charged, all other users are charged. The usage of that user is
//! parked, so that no byte is lost.

use std::time::Duration;

use serde_json::{Value, json};
use sqlx::PgPool;
use telecom_tests::report::{report_of, texts};
use telecom_tests::{GIB, NOW, SERVER, World, at, deliver, failures, user};
use uuid::Uuid;

use super::ingest_usage_report::assert_all_accepted;

fn batch(id: u128, users: &[u128]) -> String {
    let event = |n: &u128| {
        json!({
            "server_id": SERVER, "user": user(*n), "billed_upload": 1, "billed_download": 2,
                "time": at(NOW).timestamp()
        })
    };
    json!({ "batch_id": Uuid::from_u128(id),
        "events": users.iter().map(event).collect::<Vec<Value>>() })
    .to_string()
}

/// Delivers a message and asserts that it did not fail.
async fn assert_applied(world: &World, body: String) {
    assert_eq!(
        failures(&deliver(&world.hook(), &[body]).await),
        Vec::<String>::new()
    );
}

/// Billed bytes of all parked events.
async fn parked(world: &World) -> i64 {
    world
        .number(
            "select coalesce(sum(billed_upload_bytes + billed_download_bytes), 0)::bigint \
             from telecom.parked_event",
        )
        .await
}

/// A world in which users 1 to 9 each have an active item.
async fn nine_users(pool: PgPool) -> World {
    let world = World::new(pool).await;
    let package = world.package(GIB, 30).await;
    for n in 1..=9 {
        world.active_item(user(n), package).await;
    }
    world
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn counter_overflow_parks_one_user_and_charges_all_others(pool: PgPool) {
    let world = nine_users(pool).await;
    world
        .sql(&format!(
            "update telecom.package_queue set upload_bytes = 1::bigint << 61 where user_id = '{}'",
            user(5)
        ))
        .await;
    assert_applied(&world, batch(1, &[1, 2, 3, 4, 5, 6, 7, 8, 9])).await;
    for n in [1, 2, 3, 4, 6, 7, 8, 9] {
        assert_eq!(world.items(user(n)).await, [("active".into(), 1, 2)]);
    }
    assert_eq!(
        (world.usage(user(5)).await, parked(&world).await),
        ([0; 4], 3)
    );
    let reason: String = sqlx::query_scalar("select reason from telecom.parked_event")
        .fetch_one(&world.pool)
        .await
        .unwrap();
    assert!(reason.starts_with("number_overflow"), "{reason}");
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn charge_that_a_trigger_suppresses_parks_one_user_and_loses_nothing(pool: PgPool) {
    let world = nine_users(pool).await;
    world
        .sql(
            "create function telecom.suppress() returns trigger language plpgsql as
             'begin return null; end'",
        )
        .await;
    world
        .sql(&format!(
            "create trigger suppress before update on telecom.package_queue for each row
             when (new.user_id = '{}') execute function telecom.suppress()",
            user(5)
        ))
        .await;
    assert_applied(&world, batch(1, &[4, 5, 6])).await;
    for n in [4, 6] {
        assert_eq!(world.items(user(n)).await, [("active".into(), 1, 2)]);
    }
    assert_eq!(
        (world.usage(user(5)).await, parked(&world).await),
        ([0; 4], 3)
    );
    world
        .sql("drop trigger suppress on telecom.package_queue")
        .await;
    world.clock.set(at("2026-03-10T10:31:00Z"));
    assert_eq!(world.bill().await.unparked, 1);
    assert_eq!(world.items(user(5)).await, [("active".into(), 1, 2)]);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn parked_usage_is_charged_once_after_its_cause_is_removed(pool: PgPool) {
    let world = nine_users(pool).await;
    let set_counter = async |bytes: i64| {
        world
            .sql(&format!(
                "update telecom.package_queue set upload_bytes = {bytes} where user_id = '{}'",
                user(5)
            ))
            .await;
    };
    set_counter(1 << 61).await;
    assert_applied(&world, batch(1, &[5])).await;
    // A redelivered message is a duplicate even though its usage is parked.
    assert_applied(&world, batch(1, &[5])).await;
    for time in ["2026-03-10T10:31:00Z", "2026-03-10T10:34:00Z"] {
        world.clock.set(at(time));
        assert_eq!((world.bill().await.unparked, parked(&world).await), (0, 3));
    }
    let attempts = "select attempts::bigint from telecom.parked_event";
    assert_eq!(world.number(attempts).await, 3);
    set_counter(10).await;
    world.clock.set(at("2026-03-10T11:40:00Z"));
    assert_eq!((world.bill().await.unparked, parked(&world).await), (1, 0));
    assert_eq!(
        (world.items(user(5)).await, world.usage(user(5)).await),
        (vec![("active".into(), 11, 2)], [1, 2, 1, 2])
    );
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn manually_held_lock_parks_its_user_and_delays_no_other(pool: PgPool) {
    let world = nine_users(pool).await;
    let mut lock_holder = world.pool.begin().await.unwrap();
    let lock = "select from telecom.package_queue where user_id = $1 for update";
    sqlx::query(lock)
        .bind(user(5))
        .execute(&mut *lock_holder)
        .await
        .unwrap();
    let all = batch(1, &[1, 2, 3, 4, 5, 6, 7, 8, 9]);
    tokio::time::timeout(Duration::from_secs(20), assert_applied(&world, all))
        .await
        .unwrap();
    assert_eq!(
        (world.items(user(9)).await, parked(&world).await),
        (vec![("active".into(), 1, 2)], 3)
    );
    lock_holder.rollback().await.unwrap();
    world.clock.set(at("2026-03-10T10:31:00Z"));
    assert_eq!(world.bill().await.unparked, 1);
    assert_eq!(world.items(user(5)).await, [("active".into(), 1, 2)]);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn accepted_report_is_billed_after_its_server_was_deleted(pool: PgPool) {
    let world = World::new(pool).await;
    world.server(2, &[(21, "2")]).await;
    world
        .active_item(user(1), world.package(GIB, 30).await)
        .await;
    let reports = [
        report_of(1, 2, at(NOW), &[(user(1), 10, 20)]),
        report_of(2, SERVER, at(NOW), &[(user(2), 1, 1)]),
    ];
    assert_all_accepted(&world, &texts(&reports)).await;
    world
        .sql("delete from telecom.node_client where id = 21")
        .await;
    world
        .sql("delete from telecom.node_server where id = 2")
        .await;
    world.deliver_all().await;
    assert_eq!(world.items(user(1)).await, [("active".into(), 20, 40)]);
    assert_eq!(
        (world.usage(user(1)).await, world.usage(user(2)).await),
        ([10, 20, 20, 40], [1, 1, 1, 1])
    );
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn unknown_billing_run_does_not_permit_an_unknown_server(pool: PgPool) {
    let world = World::new(pool).await;
    let mut body: Value = serde_json::from_str(&batch(1, &[1])).unwrap();
    body["events"][0]["server_id"] = json!(404);
    body["billing_run_id"] = json!(Uuid::from_u128(7));
    assert_eq!(
        failures(&deliver(&world.hook(), &[body.to_string()]).await).len(),
        1
    );
}
