//! Generated files match the types, and responses match the document.

use std::path::Path;

use local::generate::{self, Generated};
use serde_json::{Value, json};
use shared::http::openapi;
use sqlx::PgPool;
use telecom_tests::api::{Api, OPERATIONS, Operation};
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
    // The schema and the components that it references.
    let mut schema = content[media]["schema"].clone();
    schema["components"] = document["components"].clone();
    let errors: Vec<String> = jsonschema::validator_for(&schema)
        .unwrap()
        .iter_errors(body)
        .map(|error| error.to_string())
        .collect();
    assert_eq!(errors, Vec::<String>::new(), "{path}: {body}");
}
