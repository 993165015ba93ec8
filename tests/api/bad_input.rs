//! Bad input is refused with the field named and what is accepted said, on both transports; nothing breaks.

use proptest::prelude::*;
use rstest::rstest;
use serde_json::{Value, json};
use sqlx::PgPool;
use telecom_tests::api::{Api, OPERATIONS};
use telecom_tests::token::Issuer;
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

#[rstest]
#[case(TRAFFIC, "", "missing_parameter", "range", "day, week, month")]
#[case(TRAFFIC, "range=year", "invalid_parameter", "range", "day, week, month")]
#[case(TRAFFIC, "range=", "invalid_parameter", "range", "day, week, month")]
#[case(TRAFFIC, "range=Day", "invalid_parameter", "range", "day, week, month")]
#[case(TRAFFIC, "range=day%00", "invalid_parameter", "range", "day, week, month")]
#[case(TRAFFIC, "range=%ff%fe", "invalid_parameter", "range", "day, week, month")]
#[case(TRAFFIC, "range=day&range=week", "repeated_parameter", "range", "more than once")]
#[case(TRAFFIC, "range=day&time_zone=Mars/Olympus", "invalid_parameter", "time_zone", "Europe/Berlin")]
#[case(TRAFFIC, "range=day&time_zone=", "invalid_parameter", "time_zone", "Europe/Berlin")]
#[case(TRAFFIC, "range=day&user=someone", "unknown_parameter", "user", "range, time_zone")]
#[case(HISTORY, "start=yesterday", "invalid_parameter", "start", "RFC 3339")]
#[case(HISTORY, "end=2026-02-30T00:00:00Z", "invalid_parameter", "end", "RFC 3339")]
#[case(HISTORY, "start=2026-03-10", "invalid_parameter", "start", "RFC 3339")]
#[case(HISTORY, "start=2026-03-10T00:00:00Z&end=2026-03-10T00:00:00Z", "invalid_parameter", "start", "before `end`")]
#[case(HISTORY, "start=2026-03-11T00:00:00Z&end=2026-03-10T00:00:00Z", "invalid_parameter", "start", "before `end`")]
#[case(HISTORY, "start=2025-12-08T09:59:59Z&end=2026-03-10T10:00:00Z", "invalid_parameter", "start", "92 days")]
#[case(USED, "limit=0", "invalid_parameter", "limit", "1 to 100")]
#[case(USED, "limit=101", "invalid_parameter", "limit", "1 to 100")]
#[case(USED, "offset=1", "unknown_parameter", "offset", "limit")]
#[case(NODES, "limit=1001", "invalid_parameter", "limit", "1 to 1000")]
#[case(NODES, "limit=ten", "invalid_parameter", "limit", "1 to 1000")]
#[case(NODES, "limit=1.5", "invalid_parameter", "limit", "1 to 1000")]
#[case(NODES, "limit=99999999999999999999", "invalid_parameter", "limit", "1 to 1000")]
#[case(NODES, "offset=-1", "invalid_parameter", "offset", "0 to 1000000")]
#[case(SERVERS, "limit=201", "invalid_parameter", "limit", "1 to 200")]
#[case(SERVERS, "offset=1000001", "invalid_parameter", "offset", "0 to 1000000")]
#[case(SERVERS, "status=up", "invalid_parameter", "status", "online, offline, maintenance")]
#[case("/v1/admin/node-servers/one", "", "invalid_parameter", "id", "1 to 2147483647")]
#[case("/v1/admin/node-servers/1", "reveal_secrets=yes", "invalid_parameter", "reveal_secrets", "true and false")]
#[case("/v1/admin/node-servers/2147483648", "", "invalid_parameter", "id", "1 to 2147483647")]
#[case("/v1/admin/node-servers/0", "", "invalid_parameter", "id", "1 to 2147483647")]
#[case(CLIENTS, "server_id=-1", "invalid_parameter", "server_id", "1 to 2147483647")]
#[case(PACKAGES, "package=0", "invalid_parameter", "package", "whole numbers from 1")]
#[case("/v1/admin/node-clients/1%27--", "", "invalid_parameter", "id", "1 to 2147483647")]
#[case(CLIENTS, "server_id=x", "invalid_parameter", "server_id", "1 to 2147483647")]
#[case("/v1/admin/package-queue/counts", "series=x", "unknown_parameter", "series", "none")]
#[case(PACKAGES, "user=me", "invalid_parameter", "user", "UUIDs")]
#[case(PACKAGES, "order=%27", "invalid_parameter", "order", "UUIDs")]
#[case(PACKAGES, "package=first", "invalid_parameter", "package", "whole numbers")]
#[case(PACKAGES, "status=waiting", "invalid_parameter", "status", "in_queue, active, consumed, cancelled")]
#[case(PACKAGES, "offset=10001", "invalid_parameter", "offset", "0 to 10000")]
#[tokio::test]
async fn a_bad_parameter_is_named_and_what_is_accepted_is_said(
    #[case] path: &str,
    #[case] query: &str,
    #[case] code: &str,
    #[case] field: &str,
    #[case] accepted: &str,
) {
    let api = Api::over_http(World::offline());
    let (status, problem) = api.get(path, query, Some(&api.issuer.admin())).await;
    assert_eq!((status, &problem["code"], &problem["field"]), (400, &json!(code), &json!(field)), "{problem}");
    assert!(problem["detail"].as_str().unwrap().contains(accepted), "{problem}");
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn over_grpc_the_same_faults_have_the_same_codes_and_fields(pool: PgPool) {
    let api = Api::over_both(World::new(pool).await, Issuer::default()).await;
    let moment = |seconds: &str| json!(seconds);
    let cases = [
        ("Telecom/GetRecentTrafficUsage", json!({}), "range"),
        ("Telecom/GetRecentTrafficUsage", json!({ "range": 9 }), "range"),
        ("Telecom/GetRecentTrafficUsage", json!({ "range": 1, "time_zone": "Mars/Olympus" }), "time_zone"),
        ("Telecom/GetRecentTrafficUsage", json!({ "range": 1, "time_zone": "UTC\u{0}" }), "time_zone"),
        (
            "Telecom/ListNodeStatusHistory",
            json!({ "start": moment("2026-03-10T00:00:00Z"), "end": moment("2026-03-10T00:00:00Z") }),
            "start",
        ),
        ("Telecom/ListNodeStatusHistory", json!({ "start": moment("2025-01-01T00:00:00Z") }), "start"),
        ("Telecom/ListUsuallyUsedNodes", json!({ "limit": 101 }), "limit"),
        ("Telecom/ListUsuallyUsedNodes", json!({ "limit": -1 }), "limit"),
        ("Telecom/ListNodes", json!({ "limit": 1001 }), "limit"),
        ("Telecom/ListNodes", json!({ "offset": -1 }), "offset"),
        ("NodeServerManage/ListNodeServers", json!({ "filter_status": 4 }), "filter_status"),
        ("NodeServerManage/ListNodeServers", json!({ "limit": 201 }), "limit"),
        ("NodeClientManage/ListNodeClients", json!({ "offset": 1_000_001 }), "offset"),
        ("PackageQueueManage/ListQueuedPackages", json!({ "user": "me" }), "user"),
        ("PackageQueueManage/ListQueuedPackages", json!({ "order": "\u{0}" }), "order"),
        ("PackageQueueManage/ListQueuedPackages", json!({ "status": 7 }), "status"),
        ("PackageQueueManage/ListQueuedPackages", json!({ "offset": 10_001 }), "offset"),
    ];
    for (method, message, field) in cases {
        let what = format!("{method} {message}");
        let status = api.grpc(&format!("telecom.v1.{method}"), message, Some(&api.issuer.admin())).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{what}");
        assert_eq!(status.get_details_error_info().unwrap().reason, "invalid_parameter", "{what}");
        let violation = status.get_details_bad_request().unwrap().field_violations.remove(0);
        assert_eq!(violation.field, field, "{what}");
        assert!(violation.description.contains("accepted are"), "{what}: {}", violation.description);
    }
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn what_does_not_exist_is_not_found(pool: PgPool) {
    let api = Api::over_both(World::new(pool).await, Issuer::default()).await;
    for (path, method) in [
        ("/v1/admin/node-servers/404", "telecom.v1.NodeServerManage/ShowNodeServer"),
        ("/v1/admin/node-clients/404", "telecom.v1.NodeClientManage/ShowNodeClient"),
    ] {
        let (status, problem) = api.get(path, "", Some(&api.issuer.admin())).await;
        assert_eq!((status, &problem["code"]), (404, &json!("not_found")));
        let status = api.grpc(method, json!({ "id": 404 }), Some(&api.issuer.admin())).await.unwrap_err();
        let reason = status.get_details_error_info().unwrap().reason;
        assert_eq!((status.code(), reason.as_str()), (Code::NotFound, "not_found"));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    /// The database is out of reach, so that whatever is accepted ends as 503: everything else is the caller's fault.
    #[test]
    fn no_query_breaks_an_endpoint(
        operation in 0..OPERATIONS.len(),
        name in prop_oneof![
            Just("range".to_owned()), Just("time_zone".to_owned()), Just("start".to_owned()), Just("end".to_owned()),
            Just("limit".to_owned()), Just("offset".to_owned()), Just("user".to_owned()), Just("status".to_owned()),
            Just("reveal_secrets".to_owned()), ".*",
        ],
        value in prop_oneof![".*", "-?[0-9]{1,25}", "[0-9]{4,6}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z"],
        suffix in "(/[^?#]{0,12})?",
    ) {
        let operation = OPERATIONS[operation];
        let (status, body) = runtime().block_on(async {
            let api = Api::over_http(World::offline());
            let method = operation.body.map_or("GET", |_| "PUT");
            let mut event = telecom_tests::api::event(method, operation.path, operation.query, Some(&api.issuer.admin()), &[]);
            event["body"] = json!(operation.body.unwrap_or_default());
            event["multiValueQueryStringParameters"][&name] = json!([value]);
            event["path"] = json!(format!("{}{suffix}", operation.path));
            let response = api.send(event).await;
            let body: Value = serde_json::from_slice(response.body()).unwrap();
            (response.status().as_u16(), body)
        });
        prop_assert!([400, 404, 405, 503].contains(&status), "{status} {body}");
        prop_assert!(body["code"].is_string() && body["code"] != "internal", "{body}");
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn extreme_values_that_are_allowed_have_an_answer(pool: PgPool) {
    let api = Api::over_http(World::new(pool).await);
    let token = api.issuer.sign(&telecom_tests::token::claims(user(1), "telecom:admin"));
    for (path, query) in [
        (HISTORY, "start=2025-12-08T10:00:00Z&end=2026-03-10T10:00:00Z"),
        (HISTORY, "start=0001-01-01T00:00:00Z&end=0001-01-01T01:00:00Z"),
        (HISTORY, "start=9999-12-31T23:00:00Z&end=9999-12-31T23:59:59.999999999Z"),
        (HISTORY, "start=2026-03-10T01:00:00%2B02:00"),
        (NODES, "offset=1000000&limit=1000"),
        (SERVERS, "offset=1000000"),
        (PACKAGES, "offset=10000&limit=200"),
        (PACKAGES, "package=9223372036854775807"),
    ] {
        let (status, body) = api.get(path, query, Some(&token)).await;
        assert_eq!(status, 200, "{path}?{query}: {body}");
    }
}
