//! Generated files match the types, and responses match the document.

use std::path::Path;

use chrono_tz::TZ_VARIANTS;
use jsonschema::Validator;
use local::generate::{self, Generated};
use proptest::prelude::*;
use serde_json::{Value, json};
use shared::domain::parked_usage::Selection;
use shared::domain::reason;
use shared::http::openapi;
use sqlx::PgPool;
use telecom_tests::api::{Api, OPERATIONS, Operation, event};
use telecom_tests::{World, user};

#[test]
fn the_generated_files_are_current() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    for Generated { path, content } in generate::files(root).unwrap() {
        let committed = std::fs::read_to_string(root.join(&path)).unwrap_or_default();
        let current = committed == content;
        assert!(
            current,
            "{path} is out of date: run `make generate` and commit it"
        );
    }
}

#[test]
fn the_document_describes_every_operation_once() {
    let document = openapi::document();
    let paths = document["paths"].as_object().unwrap();
    let methods = paths
        .values()
        .flat_map(|path| path.as_object().unwrap().values());
    let described: Vec<&str> = methods
        .map(|operation| operation["operationId"].as_str().unwrap())
        .collect();
    assert_eq!(described.len(), OPERATIONS.len());
    for operation in OPERATIONS.iter() {
        assert!(
            described.contains(&operation.method.rsplit('/').next().unwrap()),
            "{}",
            operation.method
        );
    }
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn every_response_matches_the_openapi_document(pool: PgPool) {
    let world = World::new(pool).await;
    let package = world.package(100, 30).await;
    world.active_item(user(1), package).await;
    world.waiting_item(user(1), package).await;
    world
        .sql("update telecom.node_client set access_groups = '{1}', client_config = '{\"a\": 1}'")
        .await;
    let mut body = telecom_tests::report::report_of(
        1,
        1,
        telecom_tests::at(telecom_tests::NOW),
        &[(user(1), 10, 20)],
    );
    body["metrics"] = json!({ "cpu_percent": 1.5, "online_users": 3 });
    world.assert_reports_accepted(&[body.to_string()]).await;
    world.deliver_all().await;
    let api = Api::over_http(world);
    let document = openapi::document();
    for operation in OPERATIONS.iter() {
        let token = if operation.admin {
            api.issuer.admin()
        } else {
            api.issuer.user(user(1))
        };
        check(
            &document,
            operation,
            &operation.status.to_string(),
            &api.ask(operation, operation.query, Some(&token)).await,
        );
        check(
            &document,
            operation,
            "401",
            &api.ask(operation, operation.query, None).await,
        );
        check(
            &document,
            operation,
            "400",
            &api.ask(operation, "nonsense=1", Some(&token)).await,
        );
    }
}

/// Validates a response against the schema of its status.
fn check(document: &Value, operation: &Operation, status: &str, (answered, body): &(u16, Value)) {
    let path = operation.path;
    assert_eq!(answered.to_string(), status, "{path}: {body}");
    let described = &document["paths"][operation.template][operation.verb.to_lowercase()];
    let described = &described["responses"][status]["content"];
    let content = described
        .as_object()
        .unwrap_or_else(|| panic!("{path} {status} is not described"));
    let media = if status == "200" {
        "application/json"
    } else {
        "application/problem+json"
    };
    let errors: Vec<String> = validator(document, &content[media]["schema"])
        .iter_errors(body)
        .map(|error| error.to_string())
        .collect();
    assert_eq!(errors, Vec::<String>::new(), "{path}: {body}");
}

/// Validates by a schema of the document, with the components that it references.
fn validator(document: &Value, schema: &Value) -> Validator {
    let mut schema = schema.clone();
    schema["components"] = document["components"].clone();
    jsonschema::validator_for(&schema).unwrap()
}

fn component(name: &str) -> Validator {
    let document = openapi::document();
    validator(&document, &document["components"]["schemas"][name])
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_reason_that_the_document_accepts_is_accepted(
        text in "[ a\u{e9}\u{3000}\u{0}\u{7f}\u{85}\n]{0,4}|a{498,502}"
    ) {
        let body = component("ReasonBody");
        let is_valid = |text: &str| body.is_valid(&json!({ "reason": text }));
        let accepted = reason(&text);
        prop_assert!(accepted.is_ok() || !is_valid(&text));
        // Blanks and line ends around a reason are removed, and the document need not allow them.
        prop_assert!(accepted.map_or(true, |trimmed| is_valid(&trimmed)));
    }
}

#[test]
fn the_document_lists_the_time_zones_that_are_accepted() {
    let zone = component("TimeZone");
    for accepted in TZ_VARIANTS {
        assert!(zone.is_valid(&json!(accepted.name())), "{accepted}");
    }
    assert!(!zone.is_valid(&json!("Europe/Atlantis")) && !zone.is_valid(&json!("")));
}

#[rstest::rstest]
#[case("0000-12-31T23:59:59Z", false)]
#[case("0001-01-01T00:00:00Z", true)]
#[case("0999-01-01T00:00:00Z", true)]
#[case("9999-12-31T23:59:59.999Z", true)]
fn the_document_accepts_the_years_1_to_9999(#[case] time: &str, #[case] accepted: bool) {
    let document = openapi::document();
    let parameters = &document["paths"]["/v1/node-status-history"]["get"]["parameters"];
    let start = validator(&document, &parameters[0]["schema"]);
    assert_eq!(start.is_valid(&json!(time)), accepted);
}

#[rstest::rstest]
#[case(json!({ "ids": [1] }), true)]
#[case(json!({ "ids": [1], "user": null, "all": false }), true)]
#[case(json!({ "user": user(1) }), true)]
#[case(json!({ "ids": [], "all": true }), true)]
#[case(json!({}), false)]
#[case(json!({ "ids": [0] }), false)]
#[case(json!({ "ids": [1], "all": true }), false)]
#[case(json!({ "user": user(1), "all": true }), false)]
fn the_document_accepts_one_selection_of_parked_events(
    #[case] body: Value,
    #[case] is_valid: bool,
) {
    let ids = serde_json::from_value(body["ids"].clone()).unwrap_or_default();
    let user = serde_json::from_value(body["user"].clone()).unwrap_or_default();
    let selection = Selection::parse(ids, user, body["all"] == true);
    assert_eq!(selection.is_ok(), is_valid);
    let mut body = body;
    body["reason"] = json!("checked");
    assert_eq!(component("RetryBody").is_valid(&body), is_valid);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn the_document_accepts_the_packages_that_can_be_created(pool: PgPool) {
    let api = Api::over_http(World::new(pool).await);
    let document = component("PackageBody");
    let changes = [
        json!({}),
        json!({ "name": " " }),
        json!({ "name": "a\nb" }),
        json!({ "available_group": 0 }),
        json!({ "available_group": -1 }),
        json!({ "max_client_number": 0 }),
        json!({ "max_client_number": 1_i64 << 31 }),
        json!({ "duration_seconds": 0 }),
        json!({ "traffic_limit": 1_i64 << 60 }),
        json!({ "traffic_limit": (1_i64 << 60) + 1 }),
        json!({ "traffic_limit": null }),
        json!({ "traffic_limit": null, "unlimited": true }),
        json!({ "traffic_limit": null, "unlimited": false }),
        json!({ "traffic_limit": 1, "unlimited": true }),
        json!({ "traffic_limit": 1, "unlimited": false }),
        json!({ "unknown": 1 }),
    ];
    for (index, change) in changes.into_iter().enumerate() {
        let mut body = json!({ "name": "Month", "available_group": 1, "max_client_number": 3,
            "duration_seconds": 60, "traffic_limit": 1 });
        let fields = change.as_object().unwrap().clone();
        body.as_object_mut().unwrap().extend(fields);
        let key = index.to_string();
        let headers = [("idempotency-key", key.as_str())];
        let token = api.issuer.admin();
        let mut event = event("POST", "/v1/admin/packages", "", Some(&token), &headers);
        event["body"] = json!(body.to_string());
        let status = api.send(event).await.status().as_u16();
        assert!([200, 400].contains(&status), "{status}: {change}");
        assert_eq!(document.is_valid(&body), status == 200, "{change}");
    }
}
