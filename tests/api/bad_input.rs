//! Invalid input is refused on both transports with the field and the accepted values. No input
//! causes an internal error.

mod arbitrary;
mod grpc;

use rstest::rstest;
use serde_json::json;
use shared::http::endpoints;
use shared::http::parameter::Kind;
use sqlx::PgPool;
use telecom_tests::api::Api;
use telecom_tests::token::{Issuer, claims};
use telecom_tests::{World, user};
use tonic::Code;
use tonic_types::StatusExt;

const TRAFFIC: &str = "/v1/traffic-usage";
const HISTORY: &str = "/v1/node-status-history";
const USED: &str = "/v1/usually-used-nodes";
const NODES: &str = "/v1/nodes";
const SERVERS: &str = "/v1/admin/node-servers";
const CLIENTS: &str = "/v1/admin/node-clients";
const PACKAGES: &str = "/v1/admin/package-queue";
const METRICS: &str = "/v1/admin/node-servers/1/metrics";
const RUNS: &str = "/v1/admin/job-runs";
const AUDIT: &str = "/v1/admin/audit-entries";
const QUARANTINE: &str = "/v1/admin/quarantined-reports";
const DRIFTS: &str = "/v1/admin/usage-drifts";

const INVALID: &str = "invalid_parameter";
const RANGES: &str = "day, week, month";
const YEARS: &str = "years 1 to 9999";
const ORDER: &str = "before `end`";
const IDS: &str = "1 to 2147483647";

#[rstest]
#[case(TRAFFIC, "", "missing_parameter", "range", RANGES)]
#[case(TRAFFIC, "range=year", INVALID, "range", RANGES)]
#[case(TRAFFIC, "range=", INVALID, "range", RANGES)]
#[case(TRAFFIC, "range=Day", INVALID, "range", RANGES)]
#[case(TRAFFIC, "range=day%00", INVALID, "range", RANGES)]
#[case(TRAFFIC, "range=%ff%fe", INVALID, "range", RANGES)]
#[case(
    TRAFFIC,
    "range=day&range=week",
    "repeated_parameter",
    "range",
    "more than once"
)]
#[case(
    TRAFFIC,
    "range=day&time_zone=Mars/Olympus",
    INVALID,
    "time_zone",
    "Europe/Berlin"
)]
#[case(TRAFFIC, "range=day&time_zone=", INVALID, "time_zone", "Europe/Berlin")]
#[case(
    TRAFFIC,
    "range=day&user=someone",
    "unknown_parameter",
    "user",
    "range, time_zone"
)]
#[case(HISTORY, "start=yesterday", INVALID, "start", "RFC 3339")]
#[case(HISTORY, "end=2026-02-30T00:00:00Z", INVALID, "end", "RFC 3339")]
#[case(HISTORY, "start=2026-03-10", INVALID, "start", "RFC 3339")]
#[case(HISTORY, "start=-5000-01-01T00:00:00Z", INVALID, "start", YEARS)]
#[case(HISTORY, "start=0000-12-31T23:59:59Z", INVALID, "start", YEARS)]
#[case(HISTORY, "end=%2B10000-01-01T00:00:00Z", INVALID, "end", YEARS)]
#[case(HISTORY, "end=9999-12-31T23:59:59-01:00", INVALID, "end", YEARS)]
#[case(
    HISTORY,
    "start=2026-03-10T00:00:00Z&end=2026-03-10T00:00:00Z",
    INVALID,
    "start",
    ORDER
)]
#[case(
    HISTORY,
    "start=2026-03-11T00:00:00Z&end=2026-03-10T00:00:00Z",
    INVALID,
    "start",
    ORDER
)]
#[case(
    HISTORY,
    "start=2025-12-08T09:59:59Z&end=2026-03-10T10:00:00Z",
    INVALID,
    "start",
    "92 days"
)]
#[case(HISTORY, "end=0001-01-01T23:59:59Z", INVALID, "start", ORDER)]
#[case(USED, "limit=0", INVALID, "limit", "1 to 100")]
#[case(USED, "limit=101", INVALID, "limit", "1 to 100")]
#[case(USED, "offset=1", "unknown_parameter", "offset", "limit")]
#[case(NODES, "limit=1001", INVALID, "limit", "1 to 1000")]
#[case(NODES, "limit=ten", INVALID, "limit", "1 to 1000")]
#[case(NODES, "limit=1.5", INVALID, "limit", "1 to 1000")]
#[case(NODES, "limit=99999999999999999999", INVALID, "limit", "1 to 1000")]
#[case(NODES, "offset=-1", INVALID, "offset", "0 to 1000000")]
#[case(SERVERS, "limit=201", INVALID, "limit", "1 to 200")]
#[case(SERVERS, "offset=1000001", INVALID, "offset", "0 to 1000000")]
#[case(
    SERVERS,
    "status=up",
    INVALID,
    "status",
    "online, offline, maintenance"
)]
#[case("/v1/admin/node-servers/one", "", INVALID, "id", IDS)]
#[case(
    "/v1/admin/node-servers/1",
    "reveal_secrets=yes",
    INVALID,
    "reveal_secrets",
    "true or false"
)]
#[case("/v1/admin/node-servers/2147483648", "", INVALID, "id", IDS)]
#[case("/v1/admin/node-servers/0", "", INVALID, "id", IDS)]
#[case(CLIENTS, "server_id=-1", INVALID, "server_id", IDS)]
#[case(PACKAGES, "package=0", INVALID, "package", "a whole number from 1")]
#[case("/v1/admin/node-clients/1%27--", "", INVALID, "id", IDS)]
#[case(CLIENTS, "server_id=x", INVALID, "server_id", IDS)]
#[case(
    "/v1/admin/package-queue/counts",
    "series=x",
    "unknown_parameter",
    "series",
    "none"
)]
#[case(PACKAGES, "user=me", INVALID, "user", "a UUID")]
#[case(PACKAGES, "order=%27", INVALID, "order", "a UUID")]
#[case(PACKAGES, "package=first", INVALID, "package", "a whole number")]
#[case(
    PACKAGES,
    "status=waiting",
    INVALID,
    "status",
    "in_queue, active, consumed, cancelled"
)]
#[case(PACKAGES, "offset=10001", INVALID, "offset", "0 to 10000")]
#[case(QUARANTINE, "reason=forged", INVALID, "reason", "implausible_bytes, ")]
#[case(QUARANTINE, "state=open", INVALID, "state", "waiting, released")]
#[case(QUARANTINE, "server_id=0", INVALID, "server_id", IDS)]
#[case(QUARANTINE, "limit=101", INVALID, "limit", "1 to 100")]
#[case(DRIFTS, "kind=day", INVALID, "kind", "hour, uncharged, item, ")]
#[case(DRIFTS, "offset=10001", INVALID, "offset", "0 to 10000")]
#[case(RUNS, "job=bill", INVALID, "job", "one of: apply-package-extensions")]
#[case(RUNS, "outcome=killed", INVALID, "outcome", "failed, lost")]
#[case(
    RUNS,
    "start=2026-03-10T00:00:00Z&end=2026-03-10T00:00:00Z",
    INVALID,
    "start",
    "before `end`"
)]
#[case(METRICS, "start=2025-01-01T00:00:00Z", INVALID, "start", "92 days")]
#[case(AUDIT, "actor=me", INVALID, "actor", "a UUID")]
#[case(AUDIT, "action=Adjust-Quota", INVALID, "action", "ASCII letters")]
#[case(
    AUDIT,
    "target_kind=order",
    INVALID,
    "target_id",
    "beside `target_kind`"
)]
#[case(AUDIT, "target_id=7", INVALID, "target_kind", "beside `target_id`")]
#[case(AUDIT, "target_kind=planet", INVALID, "target_kind", "node_server, ")]
#[case(
    AUDIT,
    "target_kind=order&target_id=first",
    INVALID,
    "target_id",
    "or a UUID"
)]
#[case(AUDIT, "older_than=0", INVALID, "older_than", "a whole number from 1")]
#[case(
    AUDIT,
    "start=2026-03-10T00:00:00Z&end=2026-03-10T00:00:00Z",
    INVALID,
    "start",
    ORDER
)]
#[tokio::test]
async fn a_bad_parameter_is_refused_with_the_accepted_values(
    #[case] path: &str,
    #[case] query: &str,
    #[case] code: &str,
    #[case] field: &str,
    #[case] accepted: &str,
) {
    let api = Api::over_http(World::offline());
    let (status, problem) = api.get(path, query, Some(&api.issuer.admin())).await;
    assert_eq!(
        (status, &problem["code"], &problem["field"]),
        (400, &json!(code), &json!(field)),
        "{problem}"
    );
    assert!(
        problem["detail"].as_str().unwrap().contains(accepted),
        "{problem}"
    );
}

/// Values that are not accepted for a parameter.
fn bad_values(kind: Kind) -> Vec<String> {
    match kind {
        Kind::Integer { min, max, .. } => vec![
            (i128::from(min) - 1).to_string(),
            (i128::from(max) + 1).to_string(),
            "1.5".to_owned(),
        ],
        _ => vec![String::new(), "%00".to_owned(), "no-such-value".to_owned()],
    }
}

#[tokio::test]
async fn every_declared_parameter_refuses_bad_values() {
    let api = Api::over_http(World::offline());
    let token = api.issuer.admin_with_secrets();
    for endpoint in endpoints() {
        for parameter in endpoint.parameters {
            let is_other = |pair: &&str| pair.split('=').next() != Some(parameter.name);
            let others: Vec<&str> = endpoint.example.query.split('&').filter(is_other).collect();
            for bad in bad_values(parameter.kind) {
                let query = format!("{}={bad}&{}", parameter.name, others.join("&"));
                let query = query.trim_end_matches('&');
                let path = endpoint.example_path(1);
                let (status, problem) = api.get(&path, query, Some(&token)).await;
                assert_eq!(
                    (status, &problem["code"], &problem["field"]),
                    (400, &json!("invalid_parameter"), &json!(parameter.name)),
                    "{path}?{query}: {problem}"
                );
                let detail = problem["detail"].as_str().unwrap();
                let accepted = parameter.kind.accepted();
                assert!(detail.contains(&accepted), "{path}?{query}: {detail}");
            }
        }
    }
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_missing_resource_is_not_found(pool: PgPool) {
    let api = Api::over_both(World::new(pool).await, Issuer::default()).await;
    for (path, method) in [
        (
            "/v1/admin/node-servers/404",
            "telecom.v1.NodeServerManage/ShowNodeServer",
        ),
        (
            "/v1/admin/node-clients/404",
            "telecom.v1.NodeClientManage/ShowNodeClient",
        ),
    ] {
        let (status, problem) = api.get(path, "", Some(&api.issuer.admin())).await;
        assert_eq!((status, &problem["code"]), (404, &json!("not_found")));
        let status = api
            .grpc(method, json!({ "id": 404 }), Some(&api.issuer.admin()))
            .await
            .unwrap_err();
        let reason = status.get_details_error_info().unwrap().reason;
        assert_eq!(
            (status.code(), reason.as_str()),
            (Code::NotFound, "not_found")
        );
    }
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn extreme_allowed_values_succeed(pool: PgPool) {
    let api = Api::over_http(World::new(pool).await);
    let token = api.issuer.sign(&claims(user(1), "telecom:admin"));
    for (path, query) in [
        (
            HISTORY,
            "start=2025-12-08T10:00:00Z&end=2026-03-10T10:00:00Z",
        ),
        (
            HISTORY,
            "start=0001-01-01T00:00:00Z&end=0001-01-01T01:00:00Z",
        ),
        (HISTORY, "end=0001-01-02T00:00:00Z"),
        (
            HISTORY,
            "start=9999-12-31T23:00:00Z&end=9999-12-31T23:59:59.999999999Z",
        ),
        (HISTORY, "start=2026-03-10T01:00:00%2B02:00"),
        (HISTORY, "start=2026-03-10T01:00:00+02:00"),
        (TRAFFIC, "range=week&time_zone=Etc/GMT%2B5"),
        (TRAFFIC, "range=week&time_zone=Etc/GMT+5"),
        (NODES, "offset=1000000&limit=1000"),
        (SERVERS, "offset=1000000"),
        (PACKAGES, "offset=10000&limit=200"),
        (PACKAGES, "package=9223372036854775807"),
    ] {
        let (status, body) = api.get(path, query, Some(&token)).await;
        assert_eq!(status, 200, "{path}?{query}: {body}");
    }
}
