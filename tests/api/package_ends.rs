//! `SetPackageEnd`: which ends are accepted, and what a changed end changes.

use chrono::TimeDelta;
use rstest::rstest;
use serde_json::{Value, json};
use shared::services::Processor as _;
use shared::services::cron::Run;
use shared::services::cron::expire_packages::PackageExpiringJob;
use sqlx::PgPool;
use telecom_tests::api::Api;
use telecom_tests::token::Issuer;
use telecom_tests::{GIB, NOW, World, at, user};
use tonic::Code;
use tonic_types::StatusExt as _;

/// The end of the package, which has 30 days and became active at 2026-03-10T10:30:00Z.
const END: &str = "2026-04-09T10:30:00Z";

/// An API with an active item of user 1, and the id of the item.
async fn api(pool: PgPool) -> (Api, i64) {
    let world = World::new(pool).await;
    let package = world.package(GIB, 30).await;
    let item = world.active_item(user(1), package).await;
    (Api::over_both(world, Issuer::default()).await, item)
}

async fn set_end(api: &Api, item: i64, end: &str) -> (u16, Value) {
    // Tokens are valid at this time.
    api.world.clock.set(at(NOW));
    let path = format!("/v1/admin/package-queue/{item}/end");
    let body = json!({ "expires_at": end, "reason": "moved" });
    api.change("PUT", &path, &[], &body).await
}

/// The levels of the notices that the job publishes at `now`.
async fn notices_at(api: &Api, now: &str) -> Vec<i64> {
    api.world.clock.set(at(now));
    let before = api.world.facts().await.len();
    let job = PackageExpiringJob(Run::default());
    api.world.cron().process(job).await.unwrap();
    let facts = api.world.facts().await.into_iter().skip(before);
    facts
        .filter(|(name, _)| name == "PackageExpiringSoon")
        .map(|(_, fact)| fact["hours"].as_i64().unwrap())
        .collect()
}

#[rstest]
#[case::earlier("2026-03-15T00:00:01Z", -2_197_799)]
#[case::later("2026-12-31T23:59:59Z", 23_030_999)]
#[case::with_an_offset("2026-04-09T12:30:00.5+02:00", 1)]
#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn an_item_ends_when_an_administrator_says(
    #[ignore] pool: PgPool,
    #[case] end: &str,
    #[case] extended_seconds: i64,
) {
    let (api, item) = api(pool).await;
    let (status, changed) = set_end(&api, item, end).await;
    assert_eq!(
        (status, &changed["changed"]),
        (200, &json!(true)),
        "{changed}"
    );
    let package = &changed["package"];
    assert_eq!(at(package["expires_at"].as_str().unwrap()), at(end));
    assert_eq!(package["extended_seconds"], extended_seconds);
    let expired = async |now| {
        api.world.clock.set(now);
        let job = PackageExpiringJob(Run::default());
        api.world.cron().process(job).await.unwrap();
        api.world.deliver_all().await;
        api.world.item_statuses(user(1)).await
    };
    assert_eq!(
        expired(at(end) - TimeDelta::milliseconds(1)).await,
        ["active"]
    );
    assert_eq!(expired(at(end)).await, ["consumed"]);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_later_end_is_announced_again_and_an_earlier_one_is_not(pool: PgPool) {
    let (api, item) = api(pool).await;
    assert_eq!(notices_at(&api, "2026-04-07T10:30:00Z").await, [72]);
    set_end(&api, item, "2026-04-08T10:30:01Z").await;
    assert_eq!(notices_at(&api, "2026-04-07T10:30:00Z").await, [0; 0]);
    set_end(&api, item, "2026-04-20T00:00:00Z").await;
    assert_eq!(notices_at(&api, "2026-04-17T00:00:00Z").await, [72]);
    assert_eq!(notices_at(&api, "2026-04-19T00:00:00Z").await, [24]);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn the_audit_log_has_the_end_before_and_after(pool: PgPool) {
    let (api, item) = api(pool).await;
    set_end(&api, item, "2026-04-10T10:30:00Z").await;
    // The same end is no change.
    let (_, repeated) = set_end(&api, item, "2026-04-10T10:30:00.0000001Z").await;
    assert_eq!(repeated["changed"], false);
    let before = json!({ "expires_at": END, "extended_seconds": 0 });
    let after = json!({ "expires_at": "2026-04-10T10:30:00Z", "extended_seconds": 86_400 });
    let expected = json!(["SetPackageEnd", "package_item", before, after, "moved"]);
    assert_eq!(api.world.audited().await, [expected]);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn an_end_that_no_item_can_have_is_refused_on_both_transports(pool: PgPool) {
    let (api, item) = api(pool).await;
    let method = "telecom.v1.PackageQueueManage/SetPackageEnd";
    for end in [
        "2026-03-10T10:30:00Z",
        "2020-01-01T00:00:00Z",
        "2126-03-12T00:00:00Z",
        "9999-12-31T23:59:59Z",
    ] {
        let (status, problem) = set_end(&api, item, end).await;
        assert_eq!(
            (status, &problem["code"], &problem["field"]),
            (400, &json!("invalid_parameter"), &json!("expires_at")),
            "{end}"
        );
        let message = json!({ "id": item.to_string(), "expires_at": end, "reason": "moved" });
        let refused = api.change_over_grpc(method, &[], &message).await;
        let refused = refused.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{end}");
        let named = refused.get_details_bad_request().unwrap().field_violations;
        assert_eq!(named[0].field, "expires_at");
    }
    let without = json!({ "id": item.to_string(), "reason": "moved" });
    let refused = api.change_over_grpc(method, &[], &without).await;
    assert_eq!(refused.unwrap_err().code(), Code::InvalidArgument);
    assert_eq!(api.world.audited().await, [Value::Null; 0]);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn an_item_that_is_not_active_has_no_end_to_set(pool: PgPool) {
    let (api, item) = api(pool).await;
    let package = api.world.number("select id from telecom.package").await;
    let waiting = api.world.waiting_item(user(1), package).await;
    let end = "2026-04-10T00:00:00Z";
    let (status, problem) = set_end(&api, waiting, end).await;
    assert_eq!((status, &problem["code"]), (409, &json!("item_not_active")));
    assert_eq!(set_end(&api, waiting + 1, end).await.0, 404);
    api.world
        .sql(
            "update telecom.package_queue set status = 'cancelled', ended_at = now(),
            end_reason = 'cancelled'",
        )
        .await;
    let (status, problem) = set_end(&api, item, end).await;
    assert_eq!((status, &problem["code"]), (409, &json!("item_ended")));
}
