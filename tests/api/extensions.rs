//! `ExtendPackages`: which requests are accepted, what they answer, and what they leave behind.

use serde_json::{Value, json};
use sqlx::PgPool;
use telecom_tests::api::Api;
use telecom_tests::token::Issuer;
use telecom_tests::{GIB, NOW, World, user};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;
use uuid::Uuid;

const PATH: &str = "/v1/admin/package-queue/extensions";

/// Three users have an active item of the same package. One of them has a waiting item, too.
async fn api(pool: PgPool) -> Api {
    let world = World::new(pool).await;
    let package = world.package(GIB, 30).await;
    for number in 1..=3 {
        world.active_item(user(number), package).await;
    }
    world.waiting_item(user(1), package).await;
    Api::over_both(world, Issuer::default()).await
}

async fn series(api: &Api) -> Uuid {
    let series = "select series from telecom.package";
    sqlx::query_scalar(series)
        .fetch_one(&api.world.pool)
        .await
        .unwrap()
}

fn request(packages: &Value, hours: i64, dry_run: bool) -> Value {
    let mut request = json!({ "hours": hours, "reason": "outage", "dry_run": dry_run });
    for (name, value) in packages.as_object().unwrap() {
        request[name] = value.clone();
    }
    request
}

/// Sends a request with an idempotency key, and returns status and body.
async fn extend(api: &Api, key: &str, request: &Value) -> (u16, Value) {
    api.change("POST", PATH, &[("idempotency-key", key)], request)
        .await
}

async fn extend_over_grpc(api: &Api, key: &str, message: &Value) -> Result<Value, Status> {
    let method = "telecom.v1.PackageQueueManage/ExtendPackages";
    api.change_over_grpc(method, &[("idempotency-key", key)], message)
        .await
}

/// What requests left in the database.
async fn left_behind(api: &Api) -> Value {
    let left = "select jsonb_build_object(
        'extensions', (select count(*) from telecom.package_extension),
        'entries', (select count(*) from telecom.audit_entry),
        'seconds', (select sum(extended_seconds) from telecom.package_queue))";
    sqlx::query_scalar(left)
        .fetch_one(&api.world.pool)
        .await
        .unwrap()
}

fn nothing() -> Value {
    json!({ "extensions": 0, "entries": 0, "seconds": 0 })
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_dry_run_counts_the_active_items_and_changes_nothing(pool: PgPool) {
    let api = api(pool).await;
    let series = series(&api).await;
    for (key, packages, items) in [
        ("a", json!({ "series": series }), 3),
        ("b", json!({ "available_group": 1 }), 3),
        ("c", json!({ "available_group": 2 }), 0),
    ] {
        let counted = extend(&api, key, &request(&packages, 24, true)).await;
        let expected = json!({ "extension_id": null, "requested_at": NOW, "items": items });
        assert_eq!(counted, (200, expected), "{packages}");
    }
    assert_eq!(left_behind(&api).await, nothing());
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_repeat_returns_the_number_of_items_that_was_counted_first(pool: PgPool) {
    let api = api(pool).await;
    let request_of = |hours| request(&json!({ "available_group": 1 }), hours, false);
    let (status, first) = extend(&api, "key", &request_of(24)).await;
    assert_eq!((status, &first["items"]), (200, &json!(3)), "{first}");
    // The number of items is the counted one, although another item has become active.
    let package = api.world.package(GIB, 30).await;
    api.world.active_item(user(9), package).await;
    assert_eq!(
        extend(&api, "key", &request_of(24)).await,
        (200, first.clone())
    );
    let left = json!({ "extensions": 1, "entries": 1, "seconds": 0 });
    assert_eq!(left_behind(&api).await, left);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn the_request_is_audited_with_what_it_extends_and_why(pool: PgPool) {
    let api = api(pool).await;
    let series = series(&api).await;
    let extension = request(&json!({ "series": series }), 24, false);
    let (_, answer) = extend(&api, "key", &extension).await;
    let entry: Value = sqlx::query_scalar(
        "select jsonb_build_array(actor_user_id, action, target_kind, target_id, before, after,
            reason) from telecom.audit_entry",
    )
    .fetch_one(&api.world.pool)
    .await
    .unwrap();
    let after = json!({ "series": series, "available_group": null, "hours": 24, "items": 3 });
    let id = &answer["extension_id"];
    let expected = json!(["ExtendPackages", "extension", id, null, after, "outage"]);
    assert_eq!(
        entry.as_array().unwrap()[1..],
        *expected.as_array().unwrap()
    );
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_request_with_a_bad_field_is_refused_on_both_transports(pool: PgPool) {
    let api = api(pool).await;
    let series = series(&api).await;
    let both = json!({ "series": series, "available_group": 1 });
    let of_series = json!({ "series": series });
    let mut without_reason = request(&of_series, 1, false);
    without_reason["reason"] = json!(" ");
    for (field, bad) in [
        ("series", request(&both, 1, false)),
        ("series", request(&json!({}), 1, false)),
        (
            "available_group",
            request(&json!({ "available_group": -1 }), 1, false),
        ),
        ("hours", request(&of_series, 0, false)),
        ("hours", request(&of_series, -1, true)),
        ("hours", request(&of_series, 8_761, false)),
        ("reason", without_reason),
    ] {
        let (status, problem) = extend(&api, "key", &bad).await;
        assert_eq!(
            (status, &problem["code"], &problem["field"]),
            (400, &json!("invalid_parameter"), &json!(field)),
            "{bad}"
        );
        let refused = extend_over_grpc(&api, "key", &bad).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{bad}");
        let named = refused.get_details_bad_request().unwrap().field_violations;
        assert_eq!(named[0].field, field);
    }
    let unknown = request(&json!({ "series": Uuid::from_u128(77) }), 1, true);
    let (status, problem) = extend(&api, "key", &unknown).await;
    assert_eq!((status, &problem["code"]), (404, &json!("not_found")));
    assert_eq!(left_behind(&api).await, nothing());
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_list_of_packages_shows_the_added_time(pool: PgPool) {
    let api = api(pool).await;
    api.world
        .sql(
            "update telecom.package_queue set extended_seconds = 3600,
            expires_at = expires_at + interval '1 hour' where status = 'active'",
        )
        .await;
    let (_, list) = api
        .get(
            "/v1/packages",
            "status=active",
            Some(&api.issuer.user(user(1))),
        )
        .await;
    let package = &list["packages"][0];
    assert_eq!(
        (&package["extended_seconds"], &package["expires_at"]),
        (&json!(3600), &json!("2026-04-09T11:30:00Z"))
    );
}
