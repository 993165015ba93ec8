//! Explanations of billed usage add up to what is shown, whatever happened to it, and corrections
//! are part of it.

use chrono::{DateTime, TimeDelta, Utc};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rstest::rstest;
use serde_json::{Value, json};
use sqlx::PgPool;
use telecom_tests::api::Api;
use telecom_tests::report::{report, report_of, texts};
use telecom_tests::{CLIENT, GIB, NOW, SERVER, World, assert_all_accepted, at, user};
use uuid::Uuid;

const EXPLANATION: &str = "/v1/admin/usage-explanation";
const CORRECTIONS: &str = "/v1/admin/usage-corrections";
/// The hour of the reports.
const HOUR: &str = "2026-03-10T10:00:00Z";

/// An API over a world with a client of factor 2.5, and the active item of user 1.
async fn api(pool: PgPool, quota: i64) -> (Api, i64) {
    let world = World::new(pool).await;
    world
        .sql("update telecom.node_client set traffic_factor = 2.5")
        .await;
    let package = world.package(quota, 30).await;
    let item = world.active_item(user(1), package).await;
    (Api::over_http(world), item)
}

async fn charge(api: &Api, reports: &[Value]) {
    api.world.assert_reports_accepted(&texts(reports)).await;
    api.world.deliver_all().await;
}

async fn explain(api: &Api, user: Uuid, hour: &str) -> Value {
    let query = format!("user={user}&hour={hour}");
    let token = api.issuer.admin();
    let (status, body) = api.get(EXPLANATION, &query, Some(&token)).await;
    assert_eq!(status, 200, "{body}");
    body
}

async fn explain_item(api: &Api, item: i64) -> Value {
    let path = format!("/v1/admin/package-queue/{item}/usage-explanation");
    let token = api.issuer.admin();
    let (status, body) = api.get(&path, "", Some(&token)).await;
    assert_eq!(status, 200, "{body}");
    body
}

/// Corrects the usage of user 1 in [`HOUR`] on [`CLIENT`]. `other` replaces fields of the body.
async fn correct(api: &Api, key: &str, item: i64, bytes: (i64, i64), other: Value) -> (u16, Value) {
    let mut body = json!({
        "user": user(1), "hour": HOUR, "server_id": SERVER, "node_client_id": CLIENT,
        "package_queue_id": item, "billed_upload": bytes.0, "billed_download": bytes.1,
        "reason": "reported twice"
    });
    for (name, value) in other.as_object().unwrap() {
        body[name] = value.clone();
    }
    let headers = [("idempotency-key", key)];
    api.change("POST", CORRECTIONS, &headers, &body).await
}

/// Traffic of which nothing is corrected.
fn traffic(raw: (i64, i64), billed: (i64, i64)) -> Value {
    corrected(raw, billed, (0, 0))
}

fn corrected(raw: (i64, i64), billed: (i64, i64), corrected: (i64, i64)) -> Value {
    json!({
        "raw_upload": raw.0, "raw_download": raw.1, "billed_upload": billed.0,
        "billed_download": billed.1, "corrected_upload": corrected.0,
        "corrected_download": corrected.1
    })
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn an_hour_is_explained_down_to_the_lines_of_its_reports(pool: PgPool) {
    let (api, item) = api(pool, GIB).await;
    charge(
        &api,
        &[
            report(1, &[(user(1), 1, 10)]),
            report(2, &[(user(1), 2, 0)]),
        ],
    )
    .await;
    charge(&api, &[report(3, &[(user(1), 1, 1), (user(2), 9, 9)])]).await;
    let explained = explain(&api, user(1), "2026-03-10T10:59:59Z").await;
    // The first run bills 3 and 10 bytes by 2.5, which is 7.5 and 25. The second bills 2.5 twice.
    // Halves are rounded up.
    assert_eq!(explained["sum"], traffic((4, 11), (8 + 3, 25 + 3)));
    assert_eq!(explained["billed"], explained["sum"]);
    assert_eq!(explained["unexplained"], traffic((0, 0), (0, 0)));
    assert_eq!(explained["usage"][0]["package_queue_id"], item);
    assert_eq!(explained["usage"][0]["node_client_name"], "c11");
    assert_eq!(explained["total"], 2);
    let first = &explained["parts"][0];
    assert_eq!(first["node_client_name"], "c11");
    assert_eq!(
        (&first["exact_upload"], &first["line_count"]),
        (&json!("7.5"), &json!(2))
    );
    let line = &first["lines"][0];
    assert_eq!(
        [
            &line["report_id"],
            &line["upload"],
            &line["download"],
            &line["factor"]
        ],
        [
            &json!(Uuid::from_u128(1)),
            &json!(1),
            &json!(10),
            &json!(2.5)
        ]
    );
    let of_item = explain_item(&api, item).await;
    assert_eq!(
        (&of_item["upload"], &of_item["download"]),
        (&json!(11), &json!(28))
    );
    assert_eq!(of_item["unexplained_upload"], 0);
    assert_eq!(of_item["usage"].as_array().unwrap().len(), 1);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn what_is_not_billed_or_not_charged_yet_is_not_part_of_the_sum(pool: PgPool) {
    let (api, _) = api(pool, GIB).await;
    charge(&api, &[report(1, &[(user(1), 2, 0)])]).await;
    let waiting = texts(&[report(2, &[(user(1), 4, 0)])]);
    api.world.assert_reports_accepted(&waiting).await;
    let explained = explain(&api, user(1), HOUR).await;
    assert_eq!(explained["sum"], traffic((2, 0), (5, 0)));
    assert_eq!(explained["unexplained"], traffic((0, 0), (0, 0)));
    let unbilled = &explained["parts"][1];
    assert_eq!(
        (
            &unbilled["billing_run_id"],
            &unbilled["billed_upload"],
            &unbilled["exact_upload"]
        ),
        (&Value::Null, &json!(0), &json!("10"))
    );
    api.world.bill().await;
    // Billed, and not charged until the message is applied.
    let explained = explain(&api, user(1), HOUR).await;
    assert_eq!(explained["unexplained"], traffic((-4, 0), (-10, 0)));
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn usage_that_no_report_explains_is_shown_as_unexplained(pool: PgPool) {
    let (api, item) = api(pool, GIB).await;
    charge(&api, &[report(1, &[(user(1), 2, 0)])]).await;
    let by_hand = "update telecom.user_package_usage set billed_upload_bytes = 12";
    api.world.sql(by_hand).await;
    let explained = explain(&api, user(1), HOUR).await;
    assert_eq!(explained["unexplained"], traffic((0, 0), (7, 0)));
    assert_eq!(explain_item(&api, item).await["unexplained_upload"], -7);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_correction_is_part_of_every_sum_and_shown_as_such(pool: PgPool) {
    let (api, item) = api(pool, GIB).await;
    charge(&api, &[report(1, &[(user(1), 100, 1_000)])]).await;
    let (status, answer) = correct(&api, "k", item, (-250, 500), json!({})).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(answer["usage"]["billed_upload"], 0);
    assert_eq!(answer["usage"]["corrected_download"], 500);
    let explained = explain(&api, user(1), HOUR).await;
    let sum = corrected((100, 1_000), (0, 3_000), (-250, 500));
    assert_eq!(explained["sum"], sum);
    assert_eq!(explained["billed"], traffic((100, 1_000), (250, 2_500)));
    assert_eq!(explained["unexplained"], traffic((0, 0), (0, 0)));
    assert_eq!(explained["corrections"][0], answer["correction"]);
    assert_eq!(answer["correction"]["reason"], "reported twice");
    let of_item = explain_item(&api, item).await;
    assert_eq!(of_item["sum"], sum);
    assert_eq!(of_item["download"], 3_000);
    let token = api.issuer.admin();
    for query in ["", "server_id=1", "node_client_id=11", "group_by=client"] {
        let range = "start=2026-03-10T10:00:00Z&end=2026-03-10T11:00:00Z";
        let query = format!("{range}&{query}");
        let (_, usage) = api
            .get("/v1/admin/traffic-usage", &query, Some(&token))
            .await;
        assert_eq!(usage["sum"], sum, "{query}");
    }
    assert_eq!(api.world.reconcile().await.drifts, 0);
    let audited = "select count(*) from telecom.audit_entry where action = 'CorrectUsage'
        and target_kind in ('usage_correction', 'package_item')";
    assert_eq!(api.world.number(audited).await, 2);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn corrections_are_listed_newest_first_of_one_user_or_of_all(pool: PgPool) {
    let (api, item) = api(pool, GIB).await;
    charge(&api, &[report(1, &[(user(1), 100, 1_000)])]).await;
    let mut made = Vec::new();
    for (key, upload) in [("a", -10), ("b", 20)] {
        let (_, answer) = correct(&api, key, item, (upload, 0), json!({})).await;
        made.insert(0, answer["correction"].clone());
    }
    let list = async |query: &str| {
        let path = "/v1/admin/usage-corrections";
        api.get(path, query, Some(&api.issuer.admin())).await.1
    };
    let all = json!({ "corrections": made, "total": 2 });
    assert_eq!(list("").await, all);
    assert_eq!(list(&format!("user={}", user(1))).await, all);
    let none = json!({ "corrections": [], "total": 0 });
    assert_eq!(list(&format!("user={}", user(2))).await, none);
    let second = json!({ "corrections": [made[1]], "total": 2 });
    assert_eq!(list("limit=1&offset=1").await, second);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_repeated_correction_changes_nothing(pool: PgPool) {
    let (api, item) = api(pool, GIB).await;
    charge(&api, &[report(1, &[(user(1), 100, 0)])]).await;
    let first = correct(&api, "k", item, (-50, 0), json!({})).await;
    assert_eq!(correct(&api, "k", item, (-50, 0), json!({})).await, first);
    assert_eq!(
        explain(&api, user(1), HOUR).await["sum"]["billed_upload"],
        200
    );
}

#[rstest]
#[case::the_hour((-251, 0), json!({}), 409, "usage_out_of_range")]
#[case::an_hour_without_usage((-1, 0), json!({ "hour": "2026-03-10T09:00:00Z" }), 409,
    "usage_out_of_range")]
#[case::nothing((0, 0), json!({}), 400, "invalid_parameter")]
#[case::the_future((1, 0), json!({ "hour": "2026-03-10T11:00:00Z" }), 400, "invalid_parameter")]
#[case::an_old_hour_without_usage((1, 0), json!({ "hour": "2026-02-01T00:00:00Z" }), 400,
    "invalid_parameter")]
#[case::a_server_that_does_not_exist((1, 0), json!({ "server_id": 99 }), 400,
    "invalid_parameter")]
#[case::a_client_of_another_server((1, 0), json!({ "node_client_id": 12 }), 400,
    "invalid_parameter")]
#[case::the_item_of_another_user((1, 0), json!({ "user": user(2) }), 400, "invalid_parameter")]
#[case::an_unknown_item((1, 0), json!({ "package_queue_id": 999 }), 400, "invalid_parameter")]
#[case::a_waiting_item((1, 0), json!({ "package_queue_id": 2 }), 400, "invalid_parameter")]
#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_correction_that_cannot_be_is_refused(
    #[ignore] pool: PgPool,
    #[case] bytes: (i64, i64),
    #[case] other: Value,
    #[case] status: u16,
    #[case] code: &str,
) {
    let (api, item) = api(pool, GIB).await;
    let package = api.world.package(GIB, 30).await;
    api.world.waiting_item(user(1), package).await;
    charge(&api, &[report(1, &[(user(1), 100, 0)])]).await;
    let (refused, body) = correct(&api, "k", item, bytes, other).await;
    assert_eq!((refused, &body["code"]), (status, &json!(code)), "{body}");
    assert_eq!(
        api.world
            .number("select count(*) from telecom.usage_correction")
            .await,
        0
    );
    assert_eq!(explain_item(&api, item).await["upload"], 250);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_correction_that_uses_up_an_item_activates_the_next(pool: PgPool) {
    let (api, item) = api(pool, 1_000).await;
    let package = api.world.package(GIB, 30).await;
    let next = api.world.waiting_item(user(1), package).await;
    charge(&api, &[report(1, &[(user(1), 100, 0)])]).await;
    assert_eq!(correct(&api, "k", item, (0, 750), json!({})).await.0, 200);
    let status = "select status::text from telecom.package_queue where id = $1";
    for (id, expected) in [(item, "consumed"), (next, "active")] {
        let status: String = sqlx::query_scalar(status)
            .bind(id)
            .fetch_one(&api.world.pool)
            .await
            .unwrap();
        assert_eq!(status, expected);
    }
    // An item that has ended stays so, and its counters agree with its hours.
    assert_eq!(correct(&api, "l", item, (0, -750), json!({})).await.0, 200);
    let of_item = explain_item(&api, item).await;
    assert_eq!(
        (&of_item["upload"], &of_item["download"]),
        (&json!(250), &json!(0))
    );
    assert_eq!(api.world.reconcile().await.drifts, 0);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn an_exhausted_item_that_is_corrected_before_it_ends_is_charged_again(pool: PgPool) {
    let (api, item) = api(pool, 1_000).await;
    let exhausted =
        "select count(*) from telecom.package_queue where expiring_event_at is not null";
    charge_only(&api, &[report(1, &[(user(1), 400, 0)])]).await;
    assert_eq!(api.world.number(exhausted).await, 1);
    assert_eq!(correct(&api, "k", item, (-500, 0), json!({})).await.0, 200);
    assert_eq!(api.world.number(exhausted).await, 0);
    charge(&api, &[report(2, &[(user(1), 1, 0)])]).await;
    assert_eq!(explain_item(&api, item).await["upload"], 503);
}

/// Charges usage, and leaves the message that would end an exhausted item.
async fn charge_only(api: &Api, reports: &[Value]) {
    api.world.assert_reports_accepted(&texts(reports)).await;
    api.world.bill().await;
    let messages = api.world.take_outbox("user_usage_billing").await;
    assert_all_accepted(&api.world.hook(), &messages).await;
}

/// The hours for which a user has usage.
async fn hours(api: &Api) -> Vec<(Uuid, DateTime<Utc>)> {
    sqlx::query_as("select distinct user_id, bucket_start from telecom.user_package_usage")
        .fetch_all(&api.world.pool)
        .await
        .unwrap()
}

#[rstest]
#[case(1)]
#[case(2)]
#[case(3)]
#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn everything_adds_up_in_any_order_of_charges_corrections_and_summaries(
    #[ignore] pool: PgPool,
    #[case] seed: u64,
) {
    let (api, item) = api(pool, GIB).await;
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    for step in 0..40_u128 {
        let hours_ago = rng.random_range(1..60);
        let end = at(NOW) - TimeDelta::hours(hours_ago);
        match rng.random_range(0..5) {
            0 => {
                api.world.summarize().await;
            }
            1 | 2 => {
                let mut bytes = || rng.random_range(-300..300);
                let (bytes, hour) = ((bytes(), bytes()), json!({ "hour": end }));
                let (status, body) = correct(&api, &step.to_string(), item, bytes, hour).await;
                assert!([200, 400, 409].contains(&status), "{body}");
            }
            _ => {
                let mut bytes = || rng.random_range(0..500);
                let usage = [(user(1), bytes(), bytes()), (user(2), bytes(), 0)];
                let report = report_of(step + 1, SERVER, end, &usage);
                // A duplicate changes nothing.
                charge(&api, &[report.clone(), report]).await;
            }
        }
    }
    api.world.summarize().await;
    assert_eq!(api.world.reconcile().await.drifts, 0);
    let nothing = traffic((0, 0), (0, 0));
    for (user, hour) in hours(&api).await {
        let explained = explain(
            &api,
            user,
            &hour.to_rfc3339_opts(chrono::SecondsFormat::Secs, true),
        )
        .await;
        assert_eq!(explained["unexplained"], nothing, "{explained}");
    }
    let of_item = explain_item(&api, item).await;
    assert_eq!(of_item["unexplained_upload"], 0);
    assert_eq!(of_item["unexplained_download"], 0);
}
