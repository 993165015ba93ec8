//! Usage drifts: what administrators see of the differences that reconciliation finds.

use chrono::TimeDelta;
use serde_json::{Value, json};
use sqlx::PgPool;
use telecom_tests::api::Api;
use telecom_tests::token::{Issuer, claims};
use telecom_tests::{GIB, NOW, World, at, user};

const LIST: &str = "/v1/admin/usage-drifts";

/// An API over a world in which an item has counters without hourly rows.
async fn api(pool: PgPool) -> (Api, i64) {
    let world = World::new(pool).await;
    let package = world.package(GIB, 30).await;
    let item = world.active_item(user(1), package).await;
    count(&world, 5, 10).await;
    world.clock.set(at(NOW) + TimeDelta::hours(2));
    world.reconcile().await;
    (Api::over_both(world, Issuer::default()).await, item)
}

/// Sets the counters of all items.
async fn count(world: &World, upload: i64, download: i64) {
    let counters = format!(
        "update telecom.package_queue set upload_bytes = {upload}, download_bytes = {download}"
    );
    world.sql(&counters).await;
}

async fn list(api: &Api, query: &str) -> Vec<Value> {
    // The world's clock moves past the end of the usual token.
    let mut claims = claims(user(9), "telecom:admin.read");
    claims["exp"] = json!(api.world.context().now().timestamp() + 600);
    let token = api.issuer.sign(&claims);
    let (status, body) = api.get(LIST, query, Some(&token)).await;
    assert_eq!(status, 200, "{body}");
    let drifts = body["drifts"].as_array().unwrap().clone();
    assert_eq!(body["total"], drifts.len());
    drifts
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_drift_is_listed_with_its_key_and_its_bytes(pool: PgPool) {
    let (api, item) = api(pool).await;
    let expected = json!({
        "id": 1, "kind": "item", "bucket_start": null, "package_queue_id": item, "user": user(1),
        "billing_run_id": null, "raw_upload": 0, "raw_download": 0, "billed_upload": 5,
        "billed_download": 10, "first_found_at": "2026-03-10T12:30:00Z",
        "found_at": "2026-03-10T12:30:00Z"
    });
    assert_eq!(list(&api, "").await, std::slice::from_ref(&expected));
    assert_eq!(list(&api, "kind=item").await, [expected]);
    assert_eq!(list(&api, "kind=hour").await, [Value::Null; 0]);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_drift_that_changes_keeps_the_time_at_which_it_was_first_found(pool: PgPool) {
    let (api, _) = api(pool).await;
    for (hour, upload, found_at) in [
        (3, 5, "2026-03-10T12:30:00Z"),
        (4, 7, "2026-03-10T14:30:00Z"),
    ] {
        api.world.clock.set(at(NOW) + TimeDelta::hours(hour));
        count(&api.world, upload, 10).await;
        api.world.reconcile().await;
        let drift = list(&api, "").await.remove(0);
        assert_eq!(
            [&drift["id"], &drift["billed_upload"]],
            [&json!(1), &json!(upload)]
        );
        assert_eq!(drift["first_found_at"], "2026-03-10T12:30:00Z");
        assert_eq!(drift["found_at"], found_at);
    }
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn an_accepted_drift_is_listed_again_when_it_changes(pool: PgPool) {
    let (api, _) = api(pool).await;
    let accept = "update telecom.usage_drift set accepted_reason = 'as it was imported'";
    api.world.sql(accept).await;
    api.world.reconcile().await;
    assert_eq!(list(&api, "").await, [Value::Null; 0]);
    count(&api.world, 6, 10).await;
    api.world.reconcile().await;
    assert_eq!(list(&api, "").await[0]["billed_upload"], 6);
    count(&api.world, 0, 0).await;
    api.world.reconcile().await;
    assert_eq!(list(&api, "").await, [Value::Null; 0]);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_drift_that_an_older_version_recorded_was_first_found_when_it_was_found(pool: PgPool) {
    let (api, _) = api(pool).await;
    api.world
        .sql("update telecom.usage_drift set first_found_at = null")
        .await;
    let drift = list(&api, "").await.remove(0);
    assert_eq!(drift["first_found_at"], "2026-03-10T12:30:00Z");
}
