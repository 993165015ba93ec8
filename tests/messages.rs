//! Message bodies: their limits, and agreement of types and schemas.

use std::path::Path;

use jsonschema::Validator;
use proptest::prelude::*;
use rstest::rstest;
use serde_json::{Value, json};
use shared::error::{Error, ErrorKind};
use shared::events::package_expiring::PackageExpiringEvent;
use shared::events::package_order::PackageOrder;
use shared::events::usage_report::{self, UsageReport};
use shared::events::user_usage_billing::UserUsageBilling;
use telecom_tests::report::{report, with};
use telecom_tests::{GIB, NOW, at, user};
use uuid::Uuid;

fn schema(name: &str) -> (Value, Validator) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../docs/schemas")
        .join(name);
    let schema: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let validator = jsonschema::options()
        .should_validate_formats(true)
        .build(&schema)
        .unwrap();
    (schema, validator)
}

fn keys(object: &Value) -> Vec<&String> {
    let mut keys: Vec<&String> = object.as_object().unwrap().keys().collect();
    keys.sort();
    keys
}

/// A report with every field.
fn full_report() -> Value {
    let metrics = json!({
        "cpu_percent": 12.5, "memory_used": 1, "memory_total": 2, "disk_used": 3, "disk_total": 4,
            "load1": 0.5,
        "online_users": 5, "uptime_seconds": 6, "upload_rate": 7, "download_rate": 8
    });
    let body = with(
        report(1, &[(user(1), 10, 20)]),
        "/usage/0/node_client_id",
        json!(11),
    );
    with(body, "/metrics", metrics)
}

fn full_event() -> Value {
    json!({
        "server_id": 1, "user": user(1), "billed_download": 1, "billed_upload": 2,
            "time": 1_773_138_600,
        "node_client_id": 11, "raw_download": 3, "raw_upload": 4, "event_id": Uuid::from_u128(9)
    })
}

fn expiring_event() -> Value {
    json!({ "event_id": Uuid::from_u128(1), "package_queue_id": 7, "user": user(1),
        "reason": "time", "time": NOW })
}

fn order() -> Value {
    json!({ "type": "package.order.v1", "order_id": Uuid::from_u128(1), "user": user(1),
        "series": Uuid::from_u128(2), "amount": 3 })
}

fn order_cancelled() -> Value {
    json!({ "type": "package.order_cancelled.v1", "order_id": Uuid::from_u128(1) })
}

fn read(body: &Value) -> Result<UsageReport, Error> {
    UsageReport::parse(&body.to_string(), at(NOW))
}

#[test]
fn types_and_schemas_have_the_same_fields() {
    let (report, _) = schema("usage-report.schema.json");
    let typed = serde_json::to_value(read(&full_report()).unwrap()).unwrap();
    assert_eq!(keys(&typed), keys(&report["properties"]));
    assert_eq!(
        keys(&typed["usage"][0]),
        keys(&report["properties"]["usage"]["items"]["properties"])
    );
    assert_eq!(
        keys(&typed["metrics"]),
        keys(&report["properties"]["metrics"]["properties"])
    );

    let (billing, _) = schema("user-usage-billing-event.schema.json");
    let typed = UserUsageBilling::parse(&full_event().to_string()).unwrap();
    let typed = serde_json::to_value(&typed.events[0]).unwrap();
    assert_eq!(keys(&typed), keys(&billing["$defs"]["event"]["properties"]));

    let (expiring, _) = schema("package-expiring-event.schema.json");
    let typed = PackageExpiringEvent::parse(&expiring_event().to_string()).unwrap();
    assert_eq!(
        keys(&serde_json::to_value(typed).unwrap()),
        keys(&expiring["properties"])
    );

    let (orders, _) = schema("package-order.schema.json");
    for (kind, body) in [("order", order()), ("cancellation", order_cancelled())] {
        let typed = PackageOrder::parse(&body.to_string()).unwrap();
        assert_eq!(serde_json::to_value(typed).unwrap(), body);
        assert_eq!(keys(&body), keys(&orders["$defs"][kind]["properties"]));
    }
}

#[rstest]
#[case::as_documented("/metrics", json!(null), None)]
#[case::unknown_fields_are_ignored("/later", json!(true), None)]
#[case("/usage/0/node_client_id", json!(null), None)]
#[case("/usage/0/upload", json!(1_i64 << 50), None)]
#[case("/type", json!("usage.report.v2"), Some(("unsupported_type", "type")))]
#[case("/report_id", json!("no-uuid"), Some(("invalid_field", "report_id")))]
#[case("/server_id", json!(2_147_483_648_i64), Some(("invalid_field", "server_id")))]
#[case("/server_id", json!("1"), Some(("invalid_field", "server_id")))]
#[case("/period_end", json!("yesterday"), Some(("invalid_field", "period_end")))]
#[case("/usage", json!(null), Some(("invalid_field", "usage")))]
#[case("/usage/0/user", json!(7), Some(("invalid_field", "usage[0].user")))]
#[case("/usage/0/upload", json!(-1), Some(("bytes_out_of_range", "usage[0].upload")))]
#[case("/usage/0/download", json!((1_i64 << 50) + 1), Some(("bytes_out_of_range",
    "usage[0].download")))]
#[case("/usage/0/download", json!(u64::MAX), Some(("invalid_field", "usage[0].download")))]
#[case("/usage/0/download", json!(1.5), Some(("invalid_field", "usage[0].download")))]
#[case("/metrics/cpu_percent", json!(100.1), Some(("metric_out_of_range", "metrics.cpu_percent")))]
#[case("/metrics/online_users", json!(-1), Some(("metric_out_of_range", "metrics.online_users")))]
#[case("/metrics/load1", json!("high"), Some(("invalid_field", "metrics.load1")))]
fn type_and_schema_agree_on_reports(
    #[case] pointer: &str,
    #[case] value: Value,
    #[case] expected: Option<(&str, &str)>,
) {
    let body = with(full_report(), pointer, value);
    let error = read(&body).err();
    assert_eq!(
        error
            .as_ref()
            .map(|error| (error.code(), error.field().unwrap())),
        expected
    );
    assert_eq!(
        schema("usage-report.schema.json").1.is_valid(&body),
        expected.is_none()
    );
}

#[rstest]
#[case("type")]
#[case("report_id")]
#[case("server_id")]
#[case("period_start")]
#[case("period_end")]
#[case("usage")]
fn a_report_without_a_required_field_is_refused(#[case] field: &str) {
    let mut body = full_report();
    body.as_object_mut().unwrap().remove(field);
    let error = read(&body).unwrap_err();
    assert!(error.message().contains(field), "{error}");
    assert!(!schema("usage-report.schema.json").1.is_valid(&body));
}

#[rstest]
#[case("2026-02-03T10:30:00Z", "2026-02-03T10:31:00Z", None)]
#[case(
    "2026-02-03T10:29:59.999999Z",
    "2026-02-03T10:31:00Z",
    Some("period_too_old")
)]
#[case("2026-03-10T10:30:00Z", "2026-03-10T10:35:00Z", None)]
#[case(
    "2026-03-10T10:30:00Z",
    "2026-03-10T10:35:00.000001Z",
    Some("period_in_future")
)]
#[case("2026-03-10T10:30:00Z", "2026-03-10T10:30:00Z", None)]
#[case(
    "2026-03-10T10:30:00.000001Z",
    "2026-03-10T10:30:00Z",
    Some("period_reversed")
)]
fn a_period_is_accepted_up_to_the_limits_of_the_window(
    #[case] start: &str,
    #[case] end: &str,
    #[case] expected: Option<&str>,
) {
    let body = with(
        with(report(1, &[]), "/period_start", json!(start)),
        "/period_end",
        json!(end),
    );
    assert_eq!(read(&body).err().map(|error| error.code()), expected);
}

#[test]
fn the_lines_bytes_and_body_size_of_a_report_are_limited() {
    let lines = |n: usize, bytes| report(1, &vec![(user(1), bytes, 0); n]);
    let code = |body: &Value| read(body).err().map(|error| error.code());
    assert_eq!(code(&lines(8, 1 << 50)), None);
    assert_eq!(code(&lines(9, 1 << 50)), Some("report_bytes_out_of_range"));
    // The short lines keep a body with too many of them below the size limit.
    let short = with(
        report(1, &[]),
        "/usage",
        json!(vec![json!([user(1), 0, 0]); 10_001]),
    )
    .to_string();
    assert!(short.len() < usage_report::MAX_BODY_BYTES);
    let line = format!("[{:?},0,0]", user(1).to_string());
    let short = short.replace(
        &line,
        &format!(
            r#"{{"user":"{}","upload":0,"download":0}}"#,
            user(1).simple()
        ),
    );
    assert_eq!(
        UsageReport::parse(&short, at(NOW)).unwrap_err().code(),
        "too_many_lines"
    );
    let padded = format!(
        "{}{}",
        report(1, &[]),
        " ".repeat(usage_report::MAX_BODY_BYTES)
    );
    assert_eq!(
        UsageReport::parse(&padded, at(NOW)).unwrap_err().code(),
        "body_too_large"
    );
}

/// An event in the form that a batch contains.
fn batch_event() -> Value {
    let mut event = full_event();
    event.as_object_mut().unwrap().remove("event_id");
    event
}

#[rstest]
#[case(full_event(), None)]
#[case(json!({ "batch_id": Uuid::from_u128(1), "events": [batch_event()] }), None)]
#[case(json!({ "batch_id": Uuid::from_u128(1), "billing_run_id": Uuid::from_u128(2),
    "events": [batch_event()] }), None)]
#[case(json!({ "batch_id": Uuid::from_u128(1), "events": [full_event()] }),
    Some("events[0].event_id"))]
#[case(with(full_event(), "/billed_upload", json!((1_i64 << 60) + 1)), Some("billed_upload"))]
#[case(with(full_event(), "/billed_upload", json!(-1)), Some("billed_upload"))]
#[case(with(full_event(), "/raw_download", json!(-1)), Some("raw_download"))]
#[case(with(full_event(), "/time", json!(-1)), Some("time"))]
#[case(with(full_event(), "/time", json!(253_402_300_800_u64)), Some("time"))]
#[case(with(full_event(), "/user", json!("me")), Some("user"))]
#[case(json!({ "batch_id": Uuid::from_u128(1), "events": [] }), Some("events"))]
#[case(json!({ "batch_id": "x", "events": [full_event()] }), Some("batch_id"))]
#[case(json!({ "batch_id": Uuid::from_u128(1) }), Some("events"))]
#[case(json!({ "batch_id": Uuid::from_u128(1), "events": [batch_event(), with(batch_event(),
    "/billed_upload", json!(-1))] }), Some("events[1].billed_upload"))]
fn type_and_schema_agree_on_billing_messages(#[case] body: Value, #[case] field: Option<&str>) {
    let error = UserUsageBilling::parse(&body.to_string()).err();
    assert_eq!(error.as_ref().map(|error| error.field().unwrap()), field);
    assert_eq!(
        schema("user-usage-billing-event.schema.json")
            .1
            .is_valid(&body),
        field.is_none()
    );
}

#[rstest]
#[case("/reason", json!("traffic"), true)]
#[case("/reason", json!("boredom"), false)]
#[case("/package_queue_id", json!("7"), false)]
#[case("/event_id", json!(1), false)]
fn type_and_schema_agree_on_expiring_events(
    #[case] pointer: &str,
    #[case] value: Value,
    #[case] valid: bool,
) {
    let body = with(expiring_event(), pointer, value);
    assert_eq!(
        PackageExpiringEvent::parse(&body.to_string()).is_ok(),
        valid
    );
    assert_eq!(
        schema("package-expiring-event.schema.json")
            .1
            .is_valid(&body),
        valid
    );
}

#[rstest]
#[case(order(), None)]
#[case(order_cancelled(), None)]
#[case::unknown_fields_are_ignored(with(order(), "/later", json!(true)), None)]
#[case::unknown_fields_are_ignored(with(order_cancelled(), "/amount", json!(0)), None)]
#[case(with(order(), "/amount", json!(1)), None)]
#[case(with(order(), "/amount", json!(120)), None)]
#[case(with(order(), "/amount", json!(0)), Some(("invalid_parameter", "amount")))]
#[case(with(order(), "/amount", json!(121)), Some(("invalid_parameter", "amount")))]
#[case(with(order(), "/amount", json!(2_147_483_648_i64)), Some(("invalid_field", "amount")))]
#[case(with(order(), "/amount", json!("3")), Some(("invalid_field", "amount")))]
#[case(with(order(), "/amount", json!(1.5)), Some(("invalid_field", "amount")))]
#[case(with(order(), "/user", json!(7)), Some(("invalid_field", "user")))]
#[case(with(order(), "/series", json!("month")), Some(("invalid_field", "series")))]
#[case(with(order(), "/order_id", json!(null)), Some(("invalid_field", "order_id")))]
#[case(with(order_cancelled(), "/order_id", json!("x")), Some(("invalid_field", "order_id")))]
#[case(with(order(), "/type", json!("package.order.v2")), Some(("unsupported_type", "type")))]
#[case(with(order(), "/type", json!(1)), Some(("invalid_field", "type")))]
fn type_and_schema_agree_on_orders(#[case] body: Value, #[case] expected: Option<(&str, &str)>) {
    let error = PackageOrder::parse(&body.to_string()).err();
    assert_eq!(
        error
            .as_ref()
            .map(|error| (error.code(), error.field().unwrap())),
        expected
    );
    assert_eq!(
        schema("package-order.schema.json").1.is_valid(&body),
        expected.is_none()
    );
}

#[rstest]
#[case(order(), "type")]
#[case(order(), "order_id")]
#[case(order(), "user")]
#[case(order(), "series")]
#[case(order(), "amount")]
#[case(order_cancelled(), "type")]
#[case(order_cancelled(), "order_id")]
fn an_order_without_a_required_field_is_refused(#[case] mut body: Value, #[case] field: &str) {
    body.as_object_mut().unwrap().remove(field);
    let error = PackageOrder::parse(&body.to_string()).unwrap_err();
    assert_eq!(error.field(), Some(field));
    assert!(!schema("package-order.schema.json").1.is_valid(&body));
}

#[test]
fn the_error_of_an_order_states_what_is_accepted() {
    for (pointer, accepted) in [
        ("/amount", "expected a whole number from 1 to 120"),
        (
            "/type",
            r#"expected one of: "package.order.v1", "package.order_cancelled.v1""#,
        ),
    ] {
        let value = if pointer == "/type" {
            json!("")
        } else {
            json!(0)
        };
        let body = with(order(), pointer, value).to_string();
        let error = PackageOrder::parse(&body).unwrap_err();
        assert!(error.message().ends_with(accepted), "{error}");
    }
}

proptest! {
    #[test]
    fn an_order_within_the_limits_is_read_as_it_was_written(
        order_id: u128, owner: u128, series: u128, amount in -10_i32..200
    ) {
        let body = json!({ "type": "package.order.v1", "order_id": Uuid::from_u128(order_id),
            "user": Uuid::from_u128(owner), "series": Uuid::from_u128(series), "amount": amount });
        let read = PackageOrder::parse(&body.to_string());
        prop_assert_eq!(read.is_ok(), (1..=120).contains(&amount));
        prop_assert_eq!(read.is_ok(), schema("package-order.schema.json").1.is_valid(&body));
        if let Ok(read) = read {
            prop_assert_eq!(serde_json::to_value(read).unwrap(), body);
        }
    }

    #[test]
    fn no_body_panics_and_every_refusal_is_permanent(body in ".{0,200}") {
        for error in [
            UsageReport::parse(&body, at(NOW)).err(),
            UserUsageBilling::parse(&body).err(),
            PackageExpiringEvent::parse(&body).err(),
            PackageOrder::parse(&body).err(),
        ].into_iter().flatten() {
            prop_assert_eq!(error.kind(), ErrorKind::InvalidArgument);
        }
    }

    #[test]
    fn a_truncated_body_is_refused(cut in 0_usize..600) {
        let body = full_report().to_string();
        prop_assume!(cut < body.len());
        prop_assert_eq!(UsageReport::parse(&body[..cut], at(NOW)).unwrap_err().code(),
            "malformed_json");
    }

    #[test]
    fn another_number_of_bytes_is_another_payload(bytes in 0..GIB, other in 0..GIB) {
        let hash = |bytes| read(&report(1, &[(user(1), bytes, 0)])).unwrap().payload_hash();
        prop_assert_eq!(hash(bytes) == hash(other), bytes == other);
    }
}
