//! Invalid input is refused on both transports with the field and the accepted values. No input
//! causes an internal error.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use prost_reflect::Kind as FieldKind;
use prost_types::Timestamp;
use proto::v1::ListNodeStatusHistoryRequest;
use proto::v1::telecom_client::TelecomClient;
use rstest::rstest;
use serde_json::{Value, json};
use shared::http::endpoints;
use shared::http::parameter::Kind;
use sqlx::PgPool;
use telecom_tests::api::{Api, OPERATIONS, event};
use telecom_tests::grpc::method_descriptor;
use telecom_tests::grpc::{GrpcServer, config};
use telecom_tests::token::Issuer;
use telecom_tests::{World, user};
use tonic::{Code, Request, Status};
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
#[case(
    TRAFFIC,
    "range=year",
    "invalid_parameter",
    "range",
    "day, week, month"
)]
#[case(TRAFFIC, "range=", "invalid_parameter", "range", "day, week, month")]
#[case(TRAFFIC, "range=Day", "invalid_parameter", "range", "day, week, month")]
#[case(
    TRAFFIC,
    "range=day%00",
    "invalid_parameter",
    "range",
    "day, week, month"
)]
#[case(
    TRAFFIC,
    "range=%ff%fe",
    "invalid_parameter",
    "range",
    "day, week, month"
)]
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
    "invalid_parameter",
    "time_zone",
    "Europe/Berlin"
)]
#[case(
    TRAFFIC,
    "range=day&time_zone=",
    "invalid_parameter",
    "time_zone",
    "Europe/Berlin"
)]
#[case(
    TRAFFIC,
    "range=day&user=someone",
    "unknown_parameter",
    "user",
    "range, time_zone"
)]
#[case(HISTORY, "start=yesterday", "invalid_parameter", "start", "RFC 3339")]
#[case(
    HISTORY,
    "end=2026-02-30T00:00:00Z",
    "invalid_parameter",
    "end",
    "RFC 3339"
)]
#[case(HISTORY, "start=2026-03-10", "invalid_parameter", "start", "RFC 3339")]
#[case(
    HISTORY,
    "start=-5000-01-01T00:00:00Z",
    "invalid_parameter",
    "start",
    "years 1 to 9999"
)]
#[case(
    HISTORY,
    "start=0000-12-31T23:59:59Z",
    "invalid_parameter",
    "start",
    "years 1 to 9999"
)]
#[case(
    HISTORY,
    "end=%2B10000-01-01T00:00:00Z",
    "invalid_parameter",
    "end",
    "years 1 to 9999"
)]
#[case(
    HISTORY,
    "end=9999-12-31T23:59:59-01:00",
    "invalid_parameter",
    "end",
    "years 1 to 9999"
)]
#[case(
    HISTORY,
    "start=2026-03-10T00:00:00Z&end=2026-03-10T00:00:00Z",
    "invalid_parameter",
    "start",
    "before `end`"
)]
#[case(
    HISTORY,
    "start=2026-03-11T00:00:00Z&end=2026-03-10T00:00:00Z",
    "invalid_parameter",
    "start",
    "before `end`"
)]
#[case(
    HISTORY,
    "start=2025-12-08T09:59:59Z&end=2026-03-10T10:00:00Z",
    "invalid_parameter",
    "start",
    "92 days"
)]
#[case(
    HISTORY,
    "end=0001-01-01T23:59:59Z",
    "invalid_parameter",
    "start",
    "before `end`"
)]
#[case(USED, "limit=0", "invalid_parameter", "limit", "1 to 100")]
#[case(USED, "limit=101", "invalid_parameter", "limit", "1 to 100")]
#[case(USED, "offset=1", "unknown_parameter", "offset", "limit")]
#[case(NODES, "limit=1001", "invalid_parameter", "limit", "1 to 1000")]
#[case(NODES, "limit=ten", "invalid_parameter", "limit", "1 to 1000")]
#[case(NODES, "limit=1.5", "invalid_parameter", "limit", "1 to 1000")]
#[case(
    NODES,
    "limit=99999999999999999999",
    "invalid_parameter",
    "limit",
    "1 to 1000"
)]
#[case(NODES, "offset=-1", "invalid_parameter", "offset", "0 to 1000000")]
#[case(SERVERS, "limit=201", "invalid_parameter", "limit", "1 to 200")]
#[case(
    SERVERS,
    "offset=1000001",
    "invalid_parameter",
    "offset",
    "0 to 1000000"
)]
#[case(
    SERVERS,
    "status=up",
    "invalid_parameter",
    "status",
    "online, offline, maintenance"
)]
#[case(
    "/v1/admin/node-servers/one",
    "",
    "invalid_parameter",
    "id",
    "1 to 2147483647"
)]
#[case(
    "/v1/admin/node-servers/1",
    "reveal_secrets=yes",
    "invalid_parameter",
    "reveal_secrets",
    "true or false"
)]
#[case(
    "/v1/admin/node-servers/2147483648",
    "",
    "invalid_parameter",
    "id",
    "1 to 2147483647"
)]
#[case(
    "/v1/admin/node-servers/0",
    "",
    "invalid_parameter",
    "id",
    "1 to 2147483647"
)]
#[case(
    CLIENTS,
    "server_id=-1",
    "invalid_parameter",
    "server_id",
    "1 to 2147483647"
)]
#[case(
    PACKAGES,
    "package=0",
    "invalid_parameter",
    "package",
    "a whole number from 1"
)]
#[case(
    "/v1/admin/node-clients/1%27--",
    "",
    "invalid_parameter",
    "id",
    "1 to 2147483647"
)]
#[case(
    CLIENTS,
    "server_id=x",
    "invalid_parameter",
    "server_id",
    "1 to 2147483647"
)]
#[case(
    "/v1/admin/package-queue/counts",
    "series=x",
    "unknown_parameter",
    "series",
    "none"
)]
#[case(PACKAGES, "user=me", "invalid_parameter", "user", "a UUID")]
#[case(PACKAGES, "order=%27", "invalid_parameter", "order", "a UUID")]
#[case(
    PACKAGES,
    "package=first",
    "invalid_parameter",
    "package",
    "a whole number"
)]
#[case(
    PACKAGES,
    "status=waiting",
    "invalid_parameter",
    "status",
    "in_queue, active, consumed, cancelled"
)]
#[case(PACKAGES, "offset=10001", "invalid_parameter", "offset", "0 to 10000")]
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
        Kind::OneOf(_) | Kind::Uuid | Kind::Time | Kind::TimeZone | Kind::Flag => {
            vec![String::new(), "%00".to_owned(), "no-such-value".to_owned()]
        }
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
async fn every_field_of_a_grpc_request_refuses_bad_values(pool: PgPool) {
    let api = Api::over_both(World::new(pool).await, Issuer::default()).await;
    let token = api.issuer.admin_with_secrets();
    for operation in OPERATIONS.iter() {
        for field in method_descriptor(operation.method).input().fields() {
            let bad = match field.kind() {
                FieldKind::Int32 | FieldKind::Int64 => json!(-1),
                FieldKind::Enum(_) => json!(99),
                FieldKind::String => json!("\u{0}"),
                // Timestamps have tests of their own. A flag has no bad value.
                _ => continue,
            };
            let mut message: Value = serde_json::from_str(operation.message).unwrap();
            message[field.name()] = bad;
            let what = format!("{} {message}", operation.method);
            let called = api.grpc(operation.method, message, Some(&token)).await;
            assert_names(&called.unwrap_err(), field.name(), "", &what);
        }
    }
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn grpc_names_bad_fields_with_the_same_codes_as_http(pool: PgPool) {
    const IDS: &str = "a whole number from 1 to 2147483647";
    const HOURS: &str = "Telecom/ListNodeStatusHistory";
    let api = Api::over_both(World::new(pool).await, Issuer::default()).await;
    let cases = [
        (
            "Telecom/GetRecentTrafficUsage",
            json!({}),
            "range",
            "RECENT_RANGE_DAY (1)",
        ),
        (
            "Telecom/GetRecentTrafficUsage",
            json!({ "range": 9 }),
            "range",
            "RECENT_RANGE_MONTH (3)",
        ),
        (
            "Telecom/GetRecentTrafficUsage",
            json!({ "range": -1 }),
            "range",
            "RECENT_RANGE_WEEK (2)",
        ),
        (
            "Telecom/GetRecentTrafficUsage",
            json!({ "range": 1, "time_zone": "Mars/Olympus" }),
            "time_zone",
            "IANA",
        ),
        (
            "Telecom/GetRecentTrafficUsage",
            json!({ "range": 1, "time_zone": "UTC\u{0}" }),
            "time_zone",
            "IANA",
        ),
        (
            HOURS,
            json!({ "start": "2026-03-10T00:00:00Z", "end": "2026-03-10T00:00:00Z" }),
            "start",
            "before `end`",
        ),
        (
            HOURS,
            json!({ "start": "2025-01-01T00:00:00Z" }),
            "start",
            "92 days",
        ),
        (
            "Telecom/ListUsuallyUsedNodes",
            json!({ "limit": 101 }),
            "limit",
            "1 to 100",
        ),
        (
            "Telecom/ListUsuallyUsedNodes",
            json!({ "limit": -1 }),
            "limit",
            "1 to 100",
        ),
        (
            "Telecom/ListNodes",
            json!({ "limit": 1001 }),
            "limit",
            "1 to 1000",
        ),
        (
            "Telecom/ListNodes",
            json!({ "offset": -1 }),
            "offset",
            "0 to 1000000",
        ),
        (
            "NodeServerManage/ListNodeServers",
            json!({ "filter_status": 4 }),
            "filter_status",
            "_STATUS_ONLINE (1)",
        ),
        (
            "NodeServerManage/ListNodeServers",
            json!({ "limit": 201 }),
            "limit",
            "1 to 200",
        ),
        ("NodeServerManage/ShowNodeServer", json!({}), "id", IDS),
        (
            "NodeServerManage/ShowNodeServer",
            json!({ "id": -1 }),
            "id",
            IDS,
        ),
        (
            "NodeServerManage/GetNodeServerAvailability",
            json!({ "id": 0 }),
            "id",
            IDS,
        ),
        (
            "NodeServerManage/SetNodeServerMaintenance",
            json!({ "id": -7, "reason": "x" }),
            "id",
            IDS,
        ),
        (
            "NodeClientManage/ShowNodeClient",
            json!({ "id": 0 }),
            "id",
            IDS,
        ),
        (
            "NodeClientManage/ListNodeClients",
            json!({ "server_id": 0 }),
            "server_id",
            IDS,
        ),
        (
            "NodeClientManage/ListNodeClients",
            json!({ "server_id": -1 }),
            "server_id",
            IDS,
        ),
        (
            "NodeClientManage/ListNodeClients",
            json!({ "offset": 1_000_001 }),
            "offset",
            "0 to 1000000",
        ),
        (
            "PackageQueueManage/ListQueuedPackages",
            json!({ "user": "me" }),
            "user",
            "a UUID",
        ),
        (
            "PackageQueueManage/ListQueuedPackages",
            json!({ "order": "\u{0}" }),
            "order",
            "a UUID",
        ),
        (
            "PackageQueueManage/ListQueuedPackages",
            json!({ "package": 0 }),
            "package",
            "a whole number from 1 to",
        ),
        (
            "PackageQueueManage/ListQueuedPackages",
            json!({ "package": -5 }),
            "package",
            "a whole number from 1 to",
        ),
        (
            "PackageQueueManage/ListQueuedPackages",
            json!({ "status": 7 }),
            "status",
            "_STATUS_CONSUMED (3)",
        ),
        (
            "PackageQueueManage/ListQueuedPackages",
            json!({ "offset": 10_001 }),
            "offset",
            "0 to 10000",
        ),
    ];
    for (method, message, field, accepted) in cases {
        let what = format!("{method} {message}");
        let status = api
            .grpc(
                &format!("telecom.v1.{method}"),
                message,
                Some(&api.issuer.admin()),
            )
            .await
            .unwrap_err();
        assert_names(&status, field, accepted, &what);
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

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None,
        ..ProptestConfig::default() })]

    /// The database is unreachable, so that every accepted request ends as 503. Every other failure
    /// must be the caller's error.
    #[test]
    fn no_query_causes_an_internal_error(
        operation in 0..OPERATIONS.len(),
        name in prop_oneof![
            Just("range".to_owned()), Just("time_zone".to_owned()), Just("start".to_owned()),
                Just("end".to_owned()),
            Just("limit".to_owned()), Just("offset".to_owned()), Just("user".to_owned()),
                Just("status".to_owned()),
            Just("reveal_secrets".to_owned()), ".*",
        ],
        value in prop_oneof![".*", "-?[0-9]{1,25}",
            "[0-9]{4,6}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z"],
        suffix in "(/[^?#]{0,12})?",
    ) {
        let operation = OPERATIONS[operation];
        let (status, body) = runtime().block_on(async {
            let api = Api::over_http(World::offline());
            let method = operation.verb;
            let mut event = event(method, operation.path, operation.query,
                Some(&api.issuer.admin()), &[]);
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

/// Random limits, times and ids on a real database: every accepted request succeeds.
#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn every_accepted_query_succeeds_on_a_real_database(pool: PgPool) {
    let api = Api::over_http(World::new(pool).await);
    let token = api.issuer.admin();
    let mut runner = TestRunner::deterministic();
    let number = || prop_oneof![any::<i64>(), 0_i64..300].prop_map(|number| number.to_string());
    let time = || {
        (-62_135_596_800_i64..=253_402_300_799, 0..1_000_000_000_u32).prop_map(
            |(seconds, nanos)| {
                chrono::DateTime::from_timestamp(seconds, nanos)
                    .unwrap()
                    .to_rfc3339()
            },
        )
    };
    let id = || any::<u128>().prop_map(|id| uuid::Uuid::from_u128(id).to_string());
    let word = || {
        prop::sample::select(vec!["day", "month", "online", "active", "Asia/Kathmandu"])
            .prop_map(str::to_owned)
    };
    let kinds = [
        (
            vec!["limit", "offset", "package", "server_id"],
            number().boxed(),
        ),
        (vec!["start", "end"], time().boxed()),
        (vec!["user", "order"], id().boxed()),
        (vec!["range", "time_zone", "status"], word().boxed()),
        (
            vec!["limit", "start", "user", "time_zone", "status"],
            "\\PC{0,20}".boxed(),
        ),
    ];
    let mut accepted = 0;
    for _ in 0..5_000 {
        let operation = OPERATIONS[(0..OPERATIONS.len())
            .new_tree(&mut runner)
            .unwrap()
            .current()];
        let (names, value) = prop::sample::select(kinds.to_vec())
            .new_tree(&mut runner)
            .unwrap()
            .current();
        let name = prop::sample::select(names)
            .new_tree(&mut runner)
            .unwrap()
            .current();
        let value = value.new_tree(&mut runner).unwrap().current();
        let mut request = event(
            operation.verb,
            operation.path,
            operation.query,
            Some(&token),
            &[],
        );
        request["body"] = json!(operation.body.unwrap_or_default());
        request["multiValueQueryStringParameters"][name] =
            json!([value.replace('%', "%25").replace('+', "%2B")]);
        let answer = api.invoke(request).await;
        let status = answer["statusCode"].as_u64().unwrap();
        assert!(
            [200, 400, 404].contains(&status),
            "{} {name}={value}: {answer}",
            operation.path
        );
        accepted += usize::from(status == 200);
    }
    assert!(accepted > 100, "{accepted} of 5000 were accepted");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None,
        ..ProptestConfig::default() })]

    /// Invalid tokens are refused as such, whatever they contain.
    #[test]
    fn no_token_causes_an_internal_error(
        scheme in prop_oneof![Just("Bearer "), Just("bearer "), Just(""), Just("Basic ")],
        token in prop_oneof![
            "[ -~]{0,120}",
            "[A-Za-z0-9_-]{0,60}\\.[A-Za-z0-9_-]{0,60}\\.[A-Za-z0-9_-]{0,60}",
            (any::<[u8; 24]>(), any::<[u8; 24]>()).prop_map(|(a, b)| {
                let part = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
                format!("{}.{}.{}", part(br#"{"alg":"EdDSA","kid":"k0"}"#), part(&a), part(&b))
            }),
            (0_usize..400, any::<char>()).prop_map(|(at, with)| changed(at, with)),
        ],
    ) {
        let answer = runtime().block_on(async {
            let api = Api::over_http(World::offline());
            let headers = [("authorization", &*format!("{scheme}{token}"))];
            api.invoke(event("GET", "/v1/nodes", "", None, &headers)).await
        });
        prop_assert!([400, 401].contains(&answer["statusCode"].as_u64().unwrap()), "{answer}");
    }
}

/// A valid token with one character replaced.
fn changed(at: usize, with: char) -> String {
    let mut token: Vec<char> = Issuer::default().admin().chars().collect();
    // The last characters contain bits without significance.
    let at = at % (token.len() - 2);
    token[at] = if token[at] == with { '.' } else { with };
    token.into_iter().collect()
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn extreme_allowed_values_succeed(pool: PgPool) {
    let api = Api::over_http(World::new(pool).await);
    let token = api
        .issuer
        .sign(&telecom_tests::token::claims(user(1), "telecom:admin"));
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
        (NODES, "offset=1000000&limit=1000"),
        (SERVERS, "offset=1000000"),
        (PACKAGES, "offset=10000&limit=200"),
        (PACKAGES, "package=9223372036854775807"),
    ] {
        let (status, body) = api.get(path, query, Some(&token)).await;
        assert_eq!(status, 200, "{path}?{query}: {body}");
    }
}
