//! Events as the load balancer sends them and responses as it expects them, whatever clients send.

use std::collections::BTreeMap;
use std::path::Path;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use proptest::prelude::*;
use serde_json::{Value, json};
use shared::http::{Registered, endpoints};
use sqlx::PgPool;
use telecom_tests::api::{Api, OPERATIONS, event};
use telecom_tests::{World, deliver_event, failures, user};

/// The functions in `functions/<kind>/src/bin`.
fn functions(kind: &str) -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../functions")
        .join(kind)
        .join("src/bin");
    let files = std::fs::read_dir(folder).unwrap();
    files
        .map(|entry| entry.unwrap().path())
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
        .collect()
}

fn recorded(function: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../events")
        .join(format!("{function}.json"));
    let text = std::fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap()
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn every_api_function_handles_its_recorded_event(pool: PgPool) {
    let api = Api::over_http(World::new(pool).await);
    let registered: BTreeMap<String, Registered> = endpoints()
        .into_iter()
        .map(|endpoint| (endpoint.function(), endpoint))
        .collect();
    for function in functions("api") {
        let mut event = recorded(&function);
        if function != "show-api-documentation" {
            assert_eq!(event["path"], json!(registered[&function].example_path(1)));
            // The first client of this world has the id 11.
            let path = event["path"].as_str().unwrap();
            event["path"] = json!(path.replace("node-clients/1", "node-clients/11"));
            event["multiValueHeaders"]["authorization"] =
                json!([format!("Bearer {}", api.issuer.admin())]);
        }
        let answer = api.invoke(event).await;
        let status = registered
            .get(&function)
            .map_or(200, |endpoint| endpoint.example.status);
        assert_eq!(answer["statusCode"], status, "{function}: {answer}");
    }
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn every_consumer_handles_its_recorded_event(pool: PgPool) {
    let world = World::new(pool).await;
    for function in functions("queue") {
        let event = recorded(&function);
        let response = match function.as_str() {
            "ingest-usage-report" => deliver_event(&world.ingest(), event).await,
            "ingest-node-usage" => deliver_event(&world.ingest_node_usage(), event).await,
            "apply-user-usage-billing" => deliver_event(&world.hook(), event).await,
            "deliver-package-order" => deliver_event(&world.orders(), event).await,
            "record-webhook-deliveries" => deliver_event(&world.webhook_events(), event).await,
            "handle-package-expiring" => deliver_event(&world.expiring(), event).await,
            other => panic!("unknown consumer {other}"),
        };
        assert_eq!(failures(&response), Vec::<String>::new(), "{function}");
    }
    assert_eq!(
        world
            .number("select count(*) from telecom.usage_report")
            .await,
        2
    );
}

#[test]
fn every_job_and_the_migration_have_a_recorded_event() {
    for function in functions("cron").into_iter().chain(["migrate".to_owned()]) {
        assert!(recorded(&function).is_object(), "{function}");
    }
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn responses_have_the_format_of_the_load_balancer(pool: PgPool) {
    let api = Api::over_http(World::new(pool).await);
    let mut answer = api
        .invoke(event(
            "GET",
            "/v1/nodes",
            "",
            Some(&api.issuer.user(user(1))),
            &[],
        ))
        .await;
    let tag = answer["multiValueHeaders"]["etag"][0].take();
    assert!(tag.as_str().unwrap().starts_with('"'), "{tag}");
    answer["headers"]["etag"].take();
    assert_eq!(
        answer,
        json!({
            "statusCode": 200,
            "statusDescription": "200 OK",
            "headers": {
                "content-type": "application/json", "cache-control": "private, no-cache",
                "vary": "authorization, accept", "etag": null,
                    "access-control-expose-headers": "etag,retry-after",
                "strict-transport-security": "max-age=31536000",
                    "x-content-type-options": "nosniff",
            },
            "multiValueHeaders": {
                "content-type": ["application/json"], "cache-control": ["private, no-cache"],
                "vary": ["authorization, accept", "origin"],
                "etag": [null], "access-control-expose-headers": ["etag,retry-after"],
                "strict-transport-security": ["max-age=31536000"],
                    "x-content-type-options": ["nosniff"],
            },
            "body": "{\"nodes\":[],\"total\":0}",
            "isBase64Encoded": false,
        })
    );
    let head = api
        .invoke(event(
            "HEAD",
            "/v1/nodes",
            "",
            Some(&api.issuer.user(user(1))),
            &[],
        ))
        .await;
    assert_eq!(
        (
            &head["statusCode"],
            head["body"].as_str().unwrap_or_default()
        ),
        (&json!(200), "")
    );
    let refused = api.invoke(event("GET", "/v1/nodes", "", None, &[])).await;
    assert_eq!(
        (
            &refused["statusDescription"],
            &refused["multiValueHeaders"]["www-authenticate"]
        ),
        (&json!("401 Unauthorized"), &json!(["Bearer"]))
    );
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn every_response_has_hsts_and_nosniff_headers(pool: PgPool) {
    let api = Api::over_http(World::new(pool).await);
    let token = api.issuer.user(user(1));
    let tag = api
        .invoke(event("GET", "/v1/nodes", "", Some(&token), &[]))
        .await["headers"]["etag"]
        .clone();
    let preflight = [
        ("origin", "https://app.test"),
        ("access-control-request-method", "GET"),
    ];
    for (status, event) in [
        (200, event("GET", "/v1/nodes", "", Some(&token), &[])),
        (200, event("HEAD", "/v1/nodes", "", Some(&token), &[])),
        (
            304,
            event(
                "GET",
                "/v1/nodes",
                "",
                Some(&token),
                &[("if-none-match", tag.as_str().unwrap())],
            ),
        ),
        (200, event("GET", "/docs", "", None, &[])),
        (200, event("GET", "/v1/openapi.json", "", None, &[])),
        (200, event("OPTIONS", "/v1/nodes", "", None, &preflight)),
        (400, event("GET", "/v1/nodes", "limit=0", Some(&token), &[])),
        (400, json!({ "path": "/v1/nodes" })),
        (401, event("GET", "/v1/nodes", "", None, &[])),
        (
            403,
            event("GET", "/v1/admin/node-servers", "", Some(&token), &[]),
        ),
        (404, event("GET", "/v1/none", "", Some(&token), &[])),
        (405, event("DELETE", "/v1/nodes", "", Some(&token), &[])),
        (405, event("POST", "/docs", "", None, &[])),
    ] {
        let answer = api.invoke(event.clone()).await;
        assert_eq!(answer["statusCode"], status, "{event}");
        for headers in [&answer["headers"], &answer["multiValueHeaders"]] {
            let value = |name: &str| {
                headers[name]
                    .as_array()
                    .map_or(&headers[name], |values| &values[0])
                    .clone()
            };
            assert_eq!(
                value("strict-transport-security"),
                "max-age=31536000",
                "{event}"
            );
            assert_eq!(value("x-content-type-options"), "nosniff", "{event}");
        }
    }
}

/// The event of a target group without multi-value headers, which keeps the last of several values.
fn single(mut event: Value) -> Value {
    for (many, one) in [
        ("multiValueHeaders", "headers"),
        ("multiValueQueryStringParameters", "queryStringParameters"),
    ] {
        let values = event.as_object_mut().unwrap().remove(many).unwrap();
        let last = |(name, values): (&String, &Value)| {
            (
                name.clone(),
                values.as_array().unwrap().last().unwrap().clone(),
            )
        };
        event[one] = Value::Object(values.as_object().unwrap().iter().map(last).collect());
    }
    event
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn single_value_headers_and_base64_bodies_are_accepted(pool: PgPool) {
    let api = Api::over_http(World::new(pool).await);
    for operation in OPERATIONS.iter() {
        let token = api.issuer.admin();
        let mut event = operation.event(operation.query, Some(&token));
        // A repeated change answers that it changed nothing.
        api.invoke(event.clone()).await;
        let plain = api.invoke(event.clone()).await;
        event["body"] = json!(BASE64_STANDARD.encode(operation.body.unwrap_or_default()));
        event["isBase64Encoded"] = json!(true);
        for event in [event.clone(), single(event)] {
            let answer = api.invoke(event).await;
            assert_eq!(
                (&answer["statusCode"], &answer["body"]),
                (&json!(operation.status), &plain["body"]),
                "{}",
                operation.path
            );
        }
    }
    let zone = event(
        "GET",
        "/v1/traffic-usage",
        "range=day&time_zone=Europe%2FBerlin",
        Some(&api.issuer.admin()),
        &[],
    );
    assert_eq!(api.invoke(single(zone)).await["statusCode"], 200);
}

#[tokio::test]
async fn only_allowed_origins_pass_a_preflight_for_put() {
    let api = Api::over_http(World::offline());
    let preflight = |origin: &str| {
        let asked = "authorization,content-type";
        let headers = [
            ("origin", origin),
            ("access-control-request-method", "PUT"),
            ("access-control-request-headers", asked),
        ];
        event(
            "OPTIONS",
            "/v1/admin/node-servers/1/maintenance",
            "",
            None,
            &headers,
        )
    };
    let answer = api.invoke(preflight("https://app.test")).await;
    let headers = &answer["multiValueHeaders"];
    let allows = |name: &str| headers[name][0].as_str().unwrap_or_default().to_lowercase();
    assert_eq!(answer["statusCode"], 200);
    assert_eq!(allows("access-control-allow-origin"), "https://app.test");
    assert!(
        allows("access-control-allow-methods").contains("put"),
        "{headers}"
    );
    assert!(
        allows("access-control-allow-headers").contains("content-type"),
        "{headers}"
    );
    let refused = api.invoke(preflight("https://evil.test")).await;
    assert_eq!(
        refused["multiValueHeaders"]["access-control-allow-origin"],
        Value::Null
    );
}

/// Header values that a client may send, valid or not.
fn header_value() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("256.256.256.256".to_owned()),
        Just("[::1".to_owned()),
        Just("a b".to_owned()),
        Just("api.test:99999".to_owned()),
        Just("xn--a.test".to_owned()),
        Just("text/csv;q=x, */*;q=-1, ;;=".to_owned()),
        Just("W/\"\", *, ,".to_owned()),
        "[ -~]{0,80}",
        "\\PC{0,40}",
        any::<Vec<char>>().prop_map(|text| text.into_iter().take(40).collect()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None,
        ..ProptestConfig::default() })]

    /// The database is unreachable, so that every accepted request ends as 503.
    #[test]
    fn no_header_or_path_causes_an_internal_error(
        name in prop_oneof![
            Just("host"), Just("accept"), Just("if-none-match"), Just("authorization"),
                Just("x-forwarded-proto"),
            Just("x-request-id"), Just("origin"), Just("content-type"), Just(":authority"),
                Just("a b"),
        ],
        value in header_value(),
        path in prop_oneof![Just("/v1/nodes".to_owned()), Just("*".to_owned()),
            "/{0,3}[ -~]{0,30}", "\\PC{0,30}"],
        one_value in any::<bool>(),
    ) {
        let answer = runtime().block_on(async {
            let api = Api::over_http(World::offline());
            let mut event = event("GET", &path, "", Some(&api.issuer.admin()), &[]);
            event["multiValueHeaders"][name] = json!([value]);
            api.invoke(if one_value { single(event) } else { event }).await
        });
        let status = answer["statusCode"].as_u64().unwrap();
        prop_assert!([400, 401, 403, 404, 503].contains(&status), "{answer}");
        let body: Value = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
        prop_assert!(body["code"].is_string() && body["code"] != "internal", "{body}");
    }
}

#[tokio::test]
async fn malformed_events_and_hosts_are_refused() {
    let api = Api::over_http(World::offline());
    let mut hostile = single(event(
        "GET",
        "/v1/nodes",
        "",
        Some(&api.issuer.admin()),
        &[],
    ));
    hostile["headers"]["host"] = json!("256.256.256.256");
    for event in [hostile, json!({}), json!([]), json!({ "Records": [] })] {
        let answer = api.invoke(event).await;
        let problem: Value = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
        assert_eq!(
            (&answer["statusCode"], &problem["code"]),
            (&json!(400), &json!("malformed_request"))
        );
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}
