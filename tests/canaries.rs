//! No log contains what a caller sends, at any log level.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use local::emulator::localstack::runtime_api::RuntimeApi;
use serde_json::{Map, Value, json};
use sqlx::{ConnectOptions, PgPool};
use telecom_tests::api::{Api, OPERATIONS, event};
use telecom_tests::grpc::{GrpcServer, call_raw, config};
use telecom_tests::log::Log;
use telecom_tests::report::{report, with};
use telecom_tests::token::{AUDIENCE, ISSUER, Issuer, claims};
use telecom_tests::{NOW, World, deliver_event, message_id, user};
use tonic::Request;
use tonic::metadata::{MetadataKey, MetadataValue};
use uuid::Uuid;

const CANARY: &str = "canary7f3a";
/// The canary for numbers.
const NUMBER: i64 = -4_711_471_147_114_711;

fn assert_no_canary(log: &str) {
    assert!(!log.is_empty(), "nothing was logged");
    let has_canary = |line: &&str| {
        line.to_lowercase().contains(CANARY) || line.contains(&NUMBER.unsigned_abs().to_string())
    };
    let lines: Vec<&str> = log.lines().filter(has_canary).collect();
    assert!(
        lines.is_empty(),
        "{} lines contain a canary, such as {}",
        lines.len(),
        &lines[0][..lines[0].len().min(2_000)]
    );
}

/// A document with a value replaced or added at a JSON pointer.
fn planted(document: &Value, pointer: &str, value: Value) -> Value {
    let mut document = document.clone();
    match document.pointer_mut(pointer) {
        Some(place) => *place = value,
        None => document = with(document, pointer, value),
    }
    document
}

/// Variants of a JSON document: each value replaced by a canary, and each object with a canary as a
/// key.
fn with_canaries(document: &Value) -> Vec<Value> {
    let mut pointers = vec![(String::new(), document)];
    let mut all = vec![json!(CANARY), json!([CANARY]), json!({ CANARY: CANARY })];
    while let Some((pointer, value)) = pointers.pop() {
        let below: Vec<(String, &Value)> = match value {
            Value::Object(fields) => {
                all.push(planted(
                    document,
                    &format!("{pointer}/{CANARY}"),
                    json!(CANARY),
                ));
                fields
                    .iter()
                    .map(|(name, value)| (format!("{pointer}/{name}"), value))
                    .collect()
            }
            Value::Array(values) => values
                .iter()
                .enumerate()
                .map(|(index, value)| (format!("{pointer}/{index}"), value))
                .collect(),
            _ => Vec::new(),
        };
        for (pointer, _) in &below {
            let canaries = [
                json!(CANARY),
                json!(NUMBER),
                json!({ CANARY: CANARY }),
                json!([CANARY]),
            ];
            all.extend(canaries.map(|canary| planted(document, pointer, canary)));
        }
        pointers.extend(below);
    }
    all
}

/// Bodies with canaries, including some that are not JSON.
fn bodies(good: &Value) -> Vec<String> {
    let broken = [
        format!("{{\"{CANARY}"),
        format!("{good} {CANARY}"),
        format!("{{\"type\":{CANARY}}}"),
        CANARY.to_owned(),
    ];
    with_canaries(good)
        .iter()
        .map(Value::to_string)
        .chain(broken)
        .collect()
}

fn delivery(bodies: &[String]) -> Value {
    let attribute = json!({ CANARY: { "stringValue": CANARY, "dataType": "String" } });
    let record = |(index, body): (usize, &String)| {
        json!({
            "messageId": message_id(index), "receiptHandle": CANARY, "body": body,
                "messageAttributes": attribute,
            "attributes": { "SenderId": CANARY, "SentTimestamp": CANARY, "AWSTraceHeader": CANARY }
        })
    };
    json!({ "Records": bodies.iter().enumerate().map(record).collect::<Vec<_>>() })
}

fn usage_report() -> Value {
    let body = with(
        report(1, &[(user(1), 10, 20)]),
        "/usage/0/node_client_id",
        json!(11),
    );
    with(
        body,
        "/metrics",
        json!({ "cpu_percent": 12.5, "online_users": 5 }),
    )
}

fn billing_event() -> Value {
    json!({ "server_id": 1, "user": user(1), "billed_download": 1, "billed_upload": 2,
        "time": 1_773_138_600 })
}

fn expiring_event() -> Value {
    json!({ "event_id": Uuid::from_u128(1), "package_queue_id": 7, "user": user(1),
        "reason": "time", "time": NOW })
}

/// Invalid tokens: a text, and JWTs with a canary in each part.
fn tokens() -> Vec<String> {
    let part = |json: Value| BASE64_URL_SAFE_NO_PAD.encode(json.to_string());
    let header = json!({ "alg": "EdDSA", "typ": "JWT", "kid": CANARY });
    let headers = with_canaries(&header)
        .into_iter()
        .map(|header| format!("{}.{}.{CANARY}", part(header), part(json!({}))));
    headers
        .chain([CANARY.to_owned(), format!("{CANARY}.{CANARY}.{CANARY}")])
        .collect()
}

/// Correctly signed tokens with claims that no issuer should make.
fn signed(issuer: &Issuer) -> Vec<String> {
    with_canaries(&claims(user(1), "telecom:admin"))
        .iter()
        .filter(|claims| claims.is_object())
        .map(|claims| issuer.sign(claims))
        .collect()
}

#[expect(clippy::too_many_lines, reason = "a table of cases")]
fn http_events(issuer: &Issuer) -> Vec<Value> {
    const HEADERS: [&str; 12] = [
        "x-request-id",
        "traceparent",
        "x-amzn-trace-id",
        "user-agent",
        "accept",
        "if-none-match",
        "origin",
        "cookie",
        "content-type",
        "referer",
        "x-forwarded-for",
        CANARY,
    ];
    let admin = issuer.admin_with_secrets();
    let headers = HEADERS.map(|name| (name, CANARY));
    let mut events = Vec::new();
    for operation in OPERATIONS.iter() {
        let method = operation.verb;
        let with_body = |mut event: Value, body: &str| {
            event["body"] = json!(body);
            event
        };
        let good = operation.body.unwrap_or_default();
        let known = [
            "range",
            "time_zone",
            "start",
            "end",
            "limit",
            "offset",
            "status",
            "server_id",
            "user",
            "reveal_secrets",
        ];
        for query in known
            .iter()
            .map(|name| format!("{name}={CANARY}"))
            .chain([format!("{CANARY}={CANARY}")])
        {
            events.push(with_body(
                event(method, operation.path, &query, Some(&admin), &headers),
                good,
            ));
        }
        events.push(with_body(
            event(
                method,
                operation.path,
                operation.query,
                Some(&admin),
                &headers,
            ),
            good,
        ));
        events.push(event(
            CANARY,
            operation.path,
            operation.query,
            Some(&admin),
            &headers,
        ));
        events.push(event(
            method,
            &format!("{}/{CANARY}", operation.path),
            "",
            Some(&admin),
            &headers,
        ));
        for token in tokens().iter().chain(&signed(issuer)) {
            events.push(event(
                method,
                operation.path,
                operation.query,
                Some(token),
                &headers,
            ));
        }
        for body in operation
            .body
            .map(|body| bodies(&serde_json::from_str(body).unwrap()))
            .unwrap_or_default()
        {
            events.push(with_body(
                event(method, operation.path, "", Some(&admin), &headers),
                &body,
            ));
        }
    }
    events.push(event(
        "GET",
        &format!("/v1/admin/node-servers/{CANARY}"),
        "",
        Some(&admin),
        &headers,
    ));
    events.push(event("GET", &format!("/docs/{CANARY}"), "", None, &headers));
    events.extend([
        json!({ CANARY: CANARY }),
        json!(CANARY),
        json!({ "path": "/v1/nodes", "multiValueHeaders": CANARY }),
    ]);
    let mut host = event(
        "GET",
        "/v1/nodes",
        "",
        Some(&admin),
        &[("host", "a b canary7f3a")],
    );
    host["httpMethod"] = json!("GET");
    events.push(host);
    events
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn no_text_of_an_api_request_is_logged(pool: PgPool) {
    let api = Api::over_http(World::new(pool).await);
    let log = Log::of_everything();
    for event in http_events(&api.issuer) {
        let answer = api.invoke(event).await;
        assert!(answer["statusCode"].as_u64().unwrap() < 500, "{answer}");
    }
    assert_no_canary(&log.take_text());
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn no_text_of_a_queue_message_is_logged(pool: PgPool) {
    let world = World::new(pool).await;
    let log = Log::of_everything();
    let _ = deliver_event(&world.ingest(), delivery(&bodies(&usage_report()))).await;
    let batch = json!({ "batch_id": Uuid::from_u128(1), "events": [billing_event()] });
    for good in [billing_event(), batch] {
        let _ = deliver_event(&world.hook(), delivery(&bodies(&good))).await;
    }
    let _ = deliver_event(&world.expiring(), delivery(&bodies(&expiring_event()))).await;
    assert_no_canary(&log.take_text());
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn no_text_of_a_grpc_call_is_logged(pool: PgPool) {
    let (world, issuer) = (World::new(pool).await, Issuer::default());
    let server = GrpcServer::start(&world, &issuer, config()).await;
    let channel = server.connect().await;
    let log = Log::of_everything();
    let names = [
        "x-request-id",
        "traceparent",
        "grpc-timeout",
        "grpc-encoding",
        "grpc-accept-encoding",
        "x-user",
        CANARY,
    ];
    // As text, as field 1, and as field 2.
    let messages = [
        CANARY.into(),
        [&[0x0a, 10][..], CANARY.as_bytes()].concat(),
        [&[0x12, 10][..], CANARY.as_bytes()].concat(),
    ];
    let methods = OPERATIONS
        .iter()
        .map(|operation| operation.method.to_owned());
    let strange = [
        format!("telecom.v1.Telecom/{CANARY}"),
        format!("{CANARY}.v1.Telecom/ListNodes"),
        "grpc.health.v1.Health/Check".into(),
    ];
    let admin = issuer.admin_with_secrets();
    for method in methods.into_iter().chain(strange) {
        for (token, message) in messages
            .iter()
            .map(|message| (admin.clone(), message))
            .chain(tokens().into_iter().map(|token| (token, &messages[0])))
        {
            let mut request = Request::new(message.clone());
            request
                .metadata_mut()
                .insert("authorization", format!("Bearer {token}").parse().unwrap());
            let _ = call_raw(&channel, &method, request).await;
        }
        for name in names {
            let mut request = Request::new(Vec::new());
            request
                .metadata_mut()
                .insert("authorization", format!("Bearer {admin}").parse().unwrap());
            let name = MetadataKey::from_bytes(name.as_bytes()).unwrap();
            request
                .metadata_mut()
                .insert(name, MetadataValue::from_static(CANARY));
            let _ = call_raw(&channel, &method, request).await;
        }
    }
    assert_no_canary(&log.take_text());
}

/// A process that logs at every level, killed on drop.
struct Program {
    process: Child,
    log: PathBuf,
    _folder: tempfile::TempDir,
}

impl Program {
    fn start(name: &str, variables: &[(&str, String)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let file = File::create(&log).unwrap();
        let program = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../target/debug")
            .join(name);
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("RUST_LOG", "trace")
            .env("RUST_BACKTRACE", "1")
            .envs(variables.iter().cloned());
        command
            .stderr(Stdio::from(file.try_clone().unwrap()))
            .stdout(Stdio::from(file));
        Self {
            process: command.spawn().unwrap(),
            log,
            _folder: folder,
        }
    }

    fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Runs a function as Lambda does, passes it `events`, and returns its log.
async fn log_of(function: &str, pool: &PgPool, issuer: &Issuer, events: Vec<Value>) -> String {
    let mut runtime = RuntimeApi::start(function).await.unwrap();
    let text = |text: &str| text.to_owned();
    let variables = [
        (
            "DATABASE_URL",
            text(pool.connect_options().to_url_lossy().as_str()),
        ),
        ("TELECOM_AUTH_ISSUER", text(ISSUER)),
        ("TELECOM_AUTH_AUDIENCE", text(AUDIENCE)),
        (
            "TELECOM_AUTH_JWKS",
            serde_json::to_string(&issuer.jwks()).unwrap(),
        ),
        ("AWS_LAMBDA_RUNTIME_API", runtime.address.to_string()),
        ("AWS_LAMBDA_FUNCTION_NAME", text(function)),
        ("AWS_LAMBDA_FUNCTION_VERSION", text("1")),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", text("256")),
        ("AWS_LAMBDA_LOG_GROUP_NAME", text("local")),
        ("AWS_LAMBDA_LOG_STREAM_NAME", text("local")),
        ("AWS_REGION", text("us-east-1")),
        ("AWS_ENDPOINT_URL", text("http://127.0.0.1:9")),
        ("AWS_ACCESS_KEY_ID", text("test")),
        ("AWS_SECRET_ACCESS_KEY", text("test")),
    ];
    let program = Program::start(function, &variables);
    for event in events {
        // Some invocations fail, as expected.
        let _ = runtime.invoke(event.to_string().into_bytes()).await;
    }
    let log = program.log();
    assert!(
        log.lines().any(|line| {
            line.contains("\"level\":\"TRACE\"") || line.contains("\"level\":\"INFO\"")
        }),
        "{log}"
    );
    log
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn no_text_of_a_function_event_is_logged(pool: PgPool) {
    let (world, issuer) = (World::new(pool).await, Issuer::default());
    let of_path = |path: &str| -> Vec<Value> {
        let mut events = http_events(&issuer);
        events.retain(|event| {
            event["path"]
                .as_str()
                .is_none_or(|asked| asked.starts_with(path))
        });
        events
    };
    let strange = || {
        vec![
            json!({ CANARY: CANARY }),
            json!(CANARY),
            json!({ "Records": [{ "messageId": { CANARY: CANARY } }] }),
        ]
    };
    let deployment = json!({
        "RequestType": "Update", "ResponseURL": format!("http://127.0.0.1:9/{CANARY}"),
            "StackId": CANARY, "RequestId": CANARY,
        "ResourceType": "Custom::Schema", "LogicalResourceId": CANARY,
            "PhysicalResourceId": CANARY, "ResourceProperties": {}
    });
    for (function, events) in [
        ("list-nodes", of_path("/v1/nodes")),
        (
            "set-node-server-maintenance",
            of_path("/v1/admin/node-servers/1/maintenance"),
        ),
        (
            "ingest-usage-report",
            vec![delivery(&bodies(&usage_report()))],
        ),
        (
            "apply-user-usage-billing",
            vec![delivery(&bodies(&billing_event()))],
        ),
        (
            "handle-package-expiring",
            vec![delivery(&bodies(&expiring_event()))],
        ),
        ("expire-packages", strange()),
        ("migrate", with_canaries(&deployment)),
    ] {
        let log = log_of(function, &world.pool, &issuer, [events, strange()].concat()).await;
        assert_no_canary(&log);
    }
}

#[test]
fn canaries_are_planted_in_every_value_and_key() {
    let document = json!({ "a": { "b": [1] } });
    let planted: Map<String, Value> = with_canaries(&document)
        .into_iter()
        .map(|value| (value.to_string(), value))
        .collect();
    for expected in [
        json!({ "a": CANARY }),
        json!({ "a": { "b": CANARY } }),
        json!({ "a": { "b": [CANARY] } }),
        json!({ "a": { "b": [1], CANARY: CANARY } }),
    ] {
        assert!(planted.contains_key(&expected.to_string()), "{expected}");
    }
}
