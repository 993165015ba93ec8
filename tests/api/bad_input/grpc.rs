//! Invalid messages are refused with the field and the accepted values.

use prost_reflect::Kind as FieldKind;
use prost_types::Timestamp;
use proto::v1::ListNodeStatusHistoryRequest;
use proto::v1::telecom_client::TelecomClient;
use rstest::rstest;
use serde_json::{Value, json};
use sqlx::PgPool;
use telecom_tests::World;
use telecom_tests::api::{Api, OPERATIONS};
use telecom_tests::grpc::{GrpcServer, config, method_descriptor};
use telecom_tests::token::Issuer;
use tonic::{Code, Request, Status};
use tonic_types::StatusExt;

const TRAFFIC: &str = "Telecom/GetRecentTrafficUsage";
const HISTORY: &str = "Telecom/ListNodeStatusHistory";
const USED: &str = "Telecom/ListUsuallyUsedNodes";
const NODES: &str = "Telecom/ListNodes";
const SERVERS: &str = "NodeServerManage/ListNodeServers";
const SERVER: &str = "NodeServerManage/ShowNodeServer";
const AVAILABILITY: &str = "NodeServerManage/GetNodeServerAvailability";
const MAINTENANCE: &str = "NodeServerManage/SetNodeServerMaintenance";
const CLIENT: &str = "NodeClientManage/ShowNodeClient";
const CLIENTS: &str = "NodeClientManage/ListNodeClients";
const PACKAGES: &str = "PackageQueueManage/ListQueuedPackages";
const METRICS: &str = "NodeServerManage/GetNodeServerMetrics";
const RUNS: &str = "OperationManage/ListJobRuns";
const AUDIT: &str = "OperationManage/ListAuditEntries";
const DOUBTFUL: &str = "UsageManage/ListDoubtfulPushes";
const QUARANTINE: &str = "UsageManage/ListQuarantinedReports";
const DRIFTS: &str = "UsageManage/ListUsageDrifts";
const ONLINE: &str = "UsageManage/GetOnlineUsers";
const TOP_NODES: &str = "UsageManage/ListTopNodes";
const EXPLAIN: &str = "UsageManage/ExplainUsage";
const CORRECTIONS: &str = "UsageManage/ListUsageCorrections";
const PARKED: &str = "OperationManage/ListParkedEvents";

const IDS: &str = "a whole number from 1 to 2147483647";
/// Messages with one bad field each, the name of the field, and text that the description contains.
const BAD_MESSAGES: [(&str, &str, &str, &str); 54] = [
    (EXPLAIN, "{}", "user", "a UUID"),
    (
        EXPLAIN,
        r#"{"user": "00000000-0000-4000-8000-0000000000aa"}"#,
        "hour",
        "a timestamp",
    ),
    (TOP_NODES, r#"{"range": 6}"#, "range", "LONG_RANGE_YEAR (5)"),
    (TOP_NODES, r#"{"user": "x"}"#, "user", "a UUID"),
    (QUARANTINE, r#"{"reason": 3}"#, "reason", "_BYTES (1)"),
    (QUARANTINE, r#"{"state": 3}"#, "state", "_RELEASED (2)"),
    (QUARANTINE, r#"{"server_id": -1}"#, "server_id", IDS),
    (DRIFTS, r#"{"kind": 9}"#, "kind", "DRIFT_KIND_USER_DAY (8)"),
    (DRIFTS, r#"{"limit": 201}"#, "limit", "1 to 200"),
    (RUNS, r#"{"job": "bill"}"#, "job", "one of: apply-"),
    (RUNS, r#"{"outcome": 6}"#, "outcome", "JOB_OUTCOME_LOST (5)"),
    (
        RUNS,
        r#"{"start": "2026-03-10T00:00:00Z", "end": "2026-03-10T00:00:00Z"}"#,
        "start",
        "before `end`",
    ),
    (
        METRICS,
        r#"{"id": 1, "start": "2025-01-01T00:00:00Z"}"#,
        "start",
        "92 days",
    ),
    (TRAFFIC, "{}", "range", "RECENT_RANGE_DAY (1)"),
    (
        TRAFFIC,
        r#"{"range": 9}"#,
        "range",
        "RECENT_RANGE_MONTH (3)",
    ),
    (
        TRAFFIC,
        r#"{"range": -1}"#,
        "range",
        "RECENT_RANGE_WEEK (2)",
    ),
    (
        TRAFFIC,
        r#"{"range": 1, "time_zone": "Mars/Olympus"}"#,
        "time_zone",
        "IANA",
    ),
    (
        TRAFFIC,
        r#"{"range": 1, "time_zone": "UTC\u0000"}"#,
        "time_zone",
        "IANA",
    ),
    (
        HISTORY,
        r#"{"start": "2026-03-10T00:00:00Z", "end": "2026-03-10T00:00:00Z"}"#,
        "start",
        "before `end`",
    ),
    (
        HISTORY,
        r#"{"start": "2025-01-01T00:00:00Z"}"#,
        "start",
        "92 days",
    ),
    (USED, r#"{"limit": 101}"#, "limit", "1 to 100"),
    (USED, r#"{"limit": -1}"#, "limit", "1 to 100"),
    (NODES, r#"{"limit": 1001}"#, "limit", "1 to 1000"),
    (NODES, r#"{"offset": -1}"#, "offset", "0 to 1000000"),
    (
        SERVERS,
        r#"{"filter_status": 4}"#,
        "filter_status",
        "_STATUS_ONLINE (1)",
    ),
    (SERVERS, r#"{"limit": 201}"#, "limit", "1 to 200"),
    (SERVER, "{}", "id", IDS),
    (SERVER, r#"{"id": -1}"#, "id", IDS),
    (AVAILABILITY, r#"{"id": 0}"#, "id", IDS),
    (MAINTENANCE, r#"{"id": -7, "reason": "x"}"#, "id", IDS),
    (CLIENT, r#"{"id": 0}"#, "id", IDS),
    (CLIENTS, r#"{"server_id": 0}"#, "server_id", IDS),
    (CLIENTS, r#"{"server_id": -1}"#, "server_id", IDS),
    (CLIENTS, r#"{"offset": 1000001}"#, "offset", "0 to 1000000"),
    (PACKAGES, r#"{"user": "me"}"#, "user", "a UUID"),
    (PACKAGES, r#"{"order": "\u0000"}"#, "order", "a UUID"),
    (
        PACKAGES,
        r#"{"package": 0}"#,
        "package",
        "a whole number from 1 to",
    ),
    (
        PACKAGES,
        r#"{"package": -5}"#,
        "package",
        "a whole number from 1 to",
    ),
    (
        PACKAGES,
        r#"{"status": 7}"#,
        "status",
        "_STATUS_CONSUMED (3)",
    ),
    (PACKAGES, r#"{"offset": 10001}"#, "offset", "0 to 10000"),
    (AUDIT, r#"{"actor": "me"}"#, "actor", "a UUID"),
    (
        AUDIT,
        r#"{"action": "Adjust Quota"}"#,
        "action",
        "ASCII letters",
    ),
    (
        AUDIT,
        r#"{"target_kind": "order"}"#,
        "target_id",
        "beside `target_kind`",
    ),
    (
        AUDIT,
        r#"{"target_id": "7"}"#,
        "target_kind",
        "beside `target_id`",
    ),
    (
        AUDIT,
        r#"{"older_than": 0}"#,
        "older_than",
        "a whole number from 1 to",
    ),
    (
        AUDIT,
        r#"{"start": "2026-03-10T00:00:00Z", "end": "2026-03-10T00:00:00Z"}"#,
        "start",
        "before `end`",
    ),
    (PARKED, r#"{"user": "me"}"#, "user", "a UUID"),
    (CORRECTIONS, r#"{"user": "me"}"#, "user", "a UUID"),
    (ONLINE, r#"{"user": "me"}"#, "user", "a UUID"),
    (ONLINE, r#"{"limit": 201}"#, "limit", "1 to 200"),
    (ONLINE, r#"{"offset": 1000001}"#, "offset", "0 to 1000000"),
    (ONLINE, r#"{"node_client_id": -1}"#, "node_client_id", IDS),
    (
        DOUBTFUL,
        r#"{"doubt": 4}"#,
        "doubt",
        "PUSH_DOUBT_UNREADABLE_ROWS (3)",
    ),
    (DOUBTFUL, r#"{"state": 3}"#, "state", "DOUBT_STATE_OPEN (1)"),
];

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn every_field_of_a_grpc_request_refuses_bad_values(pool: PgPool) {
    let api = Api::over_both(World::new(pool).await, Issuer::default()).await;
    let token = api.issuer.admin_with_secrets();
    for operation in OPERATIONS.iter() {
        for field in method_descriptor(operation.method).input().fields() {
            let bad = match field.kind() {
                // A list has no single value. Any position is accepted.
                _ if field.is_list() => continue,
                FieldKind::Int32 if field.name() == "display_order" => continue,
                // A quota may be lowered.
                FieldKind::Int64 if field.name() == "bytes" => json!(0),
                FieldKind::Int64 if field.name().starts_with("billed_") => json!(i64::MIN),
                FieldKind::Int32 | FieldKind::Int64 => json!(-1),
                FieldKind::Enum(_) => json!(99),
                FieldKind::String => json!("\u{0}"),
                // Timestamps have tests of their own. A flag has no bad value.
                _ => continue,
            };
            let bad = if field.is_list() { json!([bad]) } else { bad };
            let mut message: Value = serde_json::from_str(operation.message).unwrap();
            message[field.name()] = bad;
            let what = format!("{} {message}", operation.method);
            let called = api.call(operation, message, Some(&token)).await;
            assert_names(&called.unwrap_err(), field.name(), "", &what);
        }
    }
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn grpc_names_bad_fields_with_the_same_codes_as_http(pool: PgPool) {
    let api = Api::over_both(World::new(pool).await, Issuer::default()).await;
    let token = api.issuer.admin();
    for (method, message, field, accepted) in BAD_MESSAGES {
        let what = format!("{method} {message}");
        let method = format!("telecom.v1.{method}");
        let message = serde_json::from_str(message).unwrap();
        let called = api.grpc(&method, message, Some(&token)).await;
        assert_names(&called.unwrap_err(), field, accepted, &what);
    }
}

fn assert_names(status: &Status, field: &str, accepted: &str, what: &str) {
    assert_eq!(status.code(), Code::InvalidArgument, "{what}");
    assert_eq!(
        status.get_details_error_info().unwrap().reason,
        "invalid_parameter",
        "{what}"
    );
    let violation = status
        .get_details_bad_request()
        .unwrap()
        .field_violations
        .remove(0);
    assert_eq!(violation.field, field, "{what}");
    let said = violation.description;
    assert!(
        said.contains("expected") && said.contains(accepted),
        "{what}: {said}"
    );
}

/// Timestamps that JSON cannot represent.
#[rstest]
#[case(-62_135_596_801, 0, "of the years 1 to 9999")]
#[case(253_402_300_800, 0, "of the years 1 to 9999")]
#[case(i64::MAX, 0, "of the years 1 to 9999")]
#[case(i64::MIN, i32::MIN, "nanos from 0")]
#[case(0, 1_000_000_000, "nanos from 0")]
#[case(0, -1, "nanos from 0")]
#[tokio::test]
async fn an_invalid_timestamp_is_refused(
    #[case] seconds: i64,
    #[case] nanos: i32,
    #[case] accepted: &str,
) {
    let issuer = Issuer::default();
    let server = GrpcServer::start(&World::offline(), &issuer, config()).await;
    let mut client = TelecomClient::new(server.connect().await);
    for (field, start, end) in [("start", true, false), ("end", false, true)] {
        let at = |given: bool| given.then_some(Timestamp { seconds, nanos });
        let message = ListNodeStatusHistoryRequest {
            start: at(start),
            end: at(end),
        };
        let mut request = Request::new(message);
        request.metadata_mut().insert(
            "authorization",
            format!("Bearer {}", issuer.admin()).parse().unwrap(),
        );
        let status = client.list_node_status_history(request).await.unwrap_err();
        assert_names(
            &status,
            field,
            accepted,
            &format!("{field} {seconds} {nanos}"),
        );
    }
}
