//! Reports in quarantine: what administrators see, and what a release bills.

use serde_json::{Value, json};
use sqlx::PgPool;
use telecom_tests::api::Api;
use telecom_tests::report::{report, texts, with};
use telecom_tests::token::Issuer;
use telecom_tests::{World, assert_all_accepted, user};
use uuid::Uuid;

const LIST: &str = "/v1/admin/quarantined-reports";
/// One byte more than a line of 100 Gbit/s carries in two minutes.
const TOO_MUCH: i64 = 1_500_000_000_001;

/// An API over a world with two quarantined reports: one of too many bytes, whose client had the
/// factor 0.5, and then one with a line of the unknown client 99.
async fn api(pool: PgPool) -> Api {
    let world = World::new(pool).await;
    world
        .sql("update telecom.node_client set traffic_factor = 0.5")
        .await;
    let implausible = report(1, &[(user(1), TOO_MUCH, 1), (user(2), 4, 0)]);
    assert_all_accepted(&world.ingest(), &texts(&[implausible])).await;
    let lines = [(user(3), 10, 20), (user(4), 6, 8)];
    let unknown = with(report(2, &lines), "/usage/0/node_client_id", json!(99));
    assert_all_accepted(&world.ingest(), &texts(&[unknown])).await;
    world
        .sql("update telecom.node_client set traffic_factor = 7")
        .await;
    world.deliver_all().await;
    Api::over_both(world, Issuer::default()).await
}

async fn list(api: &Api, query: &str) -> Vec<Value> {
    let token = api.issuer.admin();
    let (status, body) = api.get(LIST, query, Some(&token)).await;
    assert_eq!(status, 200, "{body}");
    let reports = body["reports"].as_array().unwrap().clone();
    assert_eq!(body["total"], reports.len());
    reports
}

/// The ids of the reports in quarantine: first that of too many bytes.
async fn ids(api: &Api) -> [i64; 2] {
    let ids: Vec<i64> = sqlx::query_scalar(
        "select usage_report_seq from telecom.quarantined_report order by usage_report_seq",
    )
    .fetch_all(&api.world.pool)
    .await
    .unwrap();
    ids.try_into().unwrap()
}

async fn release(api: &Api, id: i64, key: &str, body: &Value) -> (u16, Value) {
    let path = format!("{LIST}/{id}/release");
    let headers = [("idempotency-key", key)];
    api.change("POST", &path, &headers, body).await
}

fn checked() -> Value {
    json!({ "reason": "the provider counted the same" })
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn quarantined_reports_are_listed_newest_first_with_their_lines(pool: PgPool) {
    let api = api(pool).await;
    let [implausible, unknown] = ids(&api).await;
    let listed = list(&api, "").await;
    let expected = json!({
        "id": unknown, "report_id": Uuid::from_u128(2), "server_id": 1,
        "sender_id": listed[0]["sender_id"], "period_start": "2026-03-10T10:29:00Z",
        "period_end": "2026-03-10T10:30:00Z", "received_at": "2026-03-10T10:30:00Z",
        "reason": "unknown_node_client", "lines": 1, "lines_without_factor": 1, "upload": 10,
        "download": 20, "released_at": null, "released_by": null, "release_reason": null
    });
    assert_eq!(listed[0], expected);
    assert_eq!(
        (&listed[1]["id"], &listed[1]["lines"], &listed[1]["upload"]),
        (&json!(implausible), &json!(2), &json!(TOO_MUCH + 4))
    );
    for (query, expected) in [
        ("state=waiting", vec![unknown, implausible]),
        ("state=released", vec![]),
        ("reason=implausible_bytes", vec![implausible]),
        ("server_id=1&reason=unknown_node_client", vec![unknown]),
        ("server_id=2", vec![]),
        ("server_id=1&state=released", vec![]),
    ] {
        let found = list(&api, query).await;
        let found: Vec<_> = found.iter().map(|one| one["id"].as_i64()).collect();
        let expected: Vec<_> = expected.into_iter().map(Some).collect();
        assert_eq!(found, expected, "{query}");
    }
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_released_report_is_billed_once_at_the_factors_of_its_arrival(pool: PgPool) {
    let api = api(pool).await;
    let [id, _] = ids(&api).await;
    let (status, released) = release(&api, id, "1", &checked()).await;
    assert_eq!(status, 200, "{released}");
    let report = &released["report"];
    assert_eq!(report["released_at"], "2026-03-10T10:30:00Z");
    assert_eq!(report["release_reason"], "the provider counted the same");
    let repeated = release(&api, id, "1", &checked()).await;
    assert_eq!(repeated, (200, released.clone()));
    let (status, problem) = release(&api, id, "2", &checked()).await;
    assert_eq!((status, &problem["code"]), (409, &json!("report_released")));

    api.world.deliver_all().await;
    let billed = [TOO_MUCH, 1, TOO_MUCH / 2 + 1, 1];
    assert_eq!(api.world.usage(user(1)).await, billed);
    assert_eq!(api.world.usage(user(2)).await, [4, 0, 2, 0]);
    // Of the other report, one line was billed when it arrived.
    let on_client = "select count(*) from telecom.traffic_usage where node_client_id = 11
        and traffic_factor = 0.5";
    assert_eq!(api.world.number(on_client).await, 3);
    assert_eq!(
        list(&api, "state=released").await,
        std::slice::from_ref(report)
    );
    let token = api.issuer.admin();
    let (_, overview) = api.get("/v1/admin/overview", "", Some(&token)).await;
    assert_eq!(overview["counts"]["quarantined_reports"], 1, "{overview}");
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn the_audit_log_shows_a_release_with_its_reason_and_factor(pool: PgPool) {
    let api = api(pool).await;
    let [_, id] = ids(&api).await;
    let body = json!({ "reason": " deleted too early ", "factor": 1.5 });
    let (_, released) = release(&api, id, "1", &body).await;
    let query = format!("target_kind=quarantined_report&target_id={id}");
    let token = api.issuer.admin();
    let (_, audit) = api
        .get("/v1/admin/audit-entries", &query, Some(&token))
        .await;
    let entry = &audit["entries"][0];
    assert_eq!(audit["total"], 1, "{audit}");
    assert_eq!(entry["action"], "ReleaseQuarantinedReport");
    assert_eq!(entry["reason"], "deleted too early");
    assert_eq!(entry["after"]["factor"], 1.5);
    let report_id = &released["billed_report_id"];
    assert_eq!(&entry["after"]["billed_report_id"], report_id);
    assert_eq!(entry["before"]["released_at"], Value::Null);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn lines_of_unknown_clients_need_a_factor_and_other_lines_take_none(pool: PgPool) {
    let api = api(pool).await;
    let [implausible, unknown] = ids(&api).await;
    let (status, problem) = release(&api, unknown, "1", &checked()).await;
    assert_eq!((status, &problem["code"]), (409, &json!("factor_required")));
    let detail = problem["detail"].as_str().unwrap();
    assert!(
        detail.contains("1 lines") && detail.contains("99"),
        "{detail}"
    );
    let with_factor = |factor: f64| json!({ "reason": "checked", "factor": factor });
    for (id, factor) in [(unknown, 100.5), (unknown, 0.00005), (implausible, 1.0)] {
        let (status, problem) = release(&api, id, "1", &with_factor(factor)).await;
        assert_eq!((status, &problem["field"]), (400, &json!("factor")));
    }
    assert_eq!(list(&api, "state=waiting").await.len(), 2);
    api.world.deliver_all().await;
    assert_eq!(api.world.usage(user(3)).await, [0; 4]);

    let (status, _) = release(&api, unknown, "1", &with_factor(2.5)).await;
    assert_eq!(status, 200);
    api.world.deliver_all().await;
    assert_eq!(api.world.usage(user(3)).await, [10, 20, 25, 50]);
    // The line of the known client was billed when the report arrived.
    assert_eq!(api.world.usage(user(4)).await, [6, 8, 3, 4]);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn of_two_releases_at_once_one_is_refused_and_bytes_are_billed_once(pool: PgPool) {
    let api = api(pool).await;
    let [id, _] = ids(&api).await;
    let body = checked();
    let (one, other) = tokio::join!(release(&api, id, "1", &body), release(&api, id, "2", &body));
    let mut statuses = [one.0, other.0];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409], "{} {}", one.1, other.1);
    api.world.deliver_all().await;
    assert_eq!(api.world.usage(user(2)).await, [4, 0, 2, 0]);
    let run = api.world.usage(user(1)).await;
    assert_eq!(run, [TOO_MUCH, 1, TOO_MUCH / 2 + 1, 1]);
    assert_eq!(api.world.reconcile().await.drifts, 0);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_release_by_sql_and_a_release_by_a_call_exclude_each_other(pool: PgPool) {
    let api = api(pool).await;
    let [id, _] = ids(&api).await;
    // The SQL function uses the database's clock, so partitions of the current days must exist.
    api.world
        .sql("select telecom.create_traffic_usage_partitions(current_date - 1, 3)")
        .await;
    let by_sql = format!("select telecom.release_quarantined_report({id}, 'checked')");
    let body = checked();
    let (by_call, by_sql) = tokio::join!(
        release(&api, id, "1", &body),
        sqlx::query(&by_sql).execute(&api.world.pool)
    );
    assert_ne!(by_call.0 == 200, by_sql.is_ok(), "{}", by_call.1);
    api.world.deliver_all().await;
    assert_eq!(api.world.usage(user(2)).await, [4, 0, 2, 0]);
}
