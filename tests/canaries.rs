//! No log contains what a caller sends, at any log level.

mod plant;
mod program;
mod requests;

use serde_json::{Value, json};
use sqlx::PgPool;
use telecom_tests::api::{Api, OPERATIONS};
use telecom_tests::grpc::{GrpcServer, call_raw, config};
use telecom_tests::log::Log;
use telecom_tests::push::push;
use telecom_tests::report::{report, with};
use telecom_tests::token::Issuer;
use telecom_tests::webhook::entry;
use telecom_tests::{NOW, World, deliver_event, message_id, user};
use tonic::Request;
use tonic::metadata::{MetadataKey, MetadataValue};
use uuid::Uuid;

use plant::{CANARY, assert_no_canary, bodies, tokens, with_canaries};
use program::log_of;
use requests::http_events;

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

fn node_usage() -> Value {
    push(1, 0.0, &[(1, 10, 20), (900, 1, 1)])
        .with(
            "/content/push/unreadable",
            json!([{ "key": "x", "reason": "y" }]),
        )
        .with("/content/push/unreadable_rows", json!(1))
        .body()
}

fn billing_event() -> Value {
    json!({ "server_id": 1, "user": user(1), "billed_download": 1, "billed_upload": 2,
        "time": 1_773_138_600 })
}

fn expiring_event() -> Value {
    json!({ "event_id": Uuid::from_u128(1), "package_queue_id": 7, "user": user(1),
        "reason": "time", "time": NOW })
}

fn package_orders() -> [Value; 2] {
    let id = Uuid::from_u128(1);
    [
        json!({ "type": "package.order.v1", "order_id": id, "user": user(1), "series": user(2),
            "amount": 1 }),
        json!({ "type": "package.order_cancelled.v1", "order_id": id }),
    ]
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
    let nodes = world.ingest_node_usage();
    let _ = deliver_event(&nodes, delivery(&bodies(&node_usage()))).await;
    let batch = json!({ "batch_id": Uuid::from_u128(1), "events": [billing_event()] });
    for good in [billing_event(), batch] {
        let _ = deliver_event(&world.hook(), delivery(&bodies(&good))).await;
    }
    let _ = deliver_event(&world.expiring(), delivery(&bodies(&expiring_event()))).await;
    let facts = serde_json::from_str(&entry(1, "PackageExpired")).unwrap();
    let _ = deliver_event(&world.webhook_events(), delivery(&bodies(&facts))).await;
    for good in package_orders() {
        let _ = deliver_event(&world.orders(), delivery(&bodies(&good))).await;
    }
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
        ("ingest-node-usage", vec![delivery(&bodies(&node_usage()))]),
        (
            "apply-user-usage-billing",
            vec![delivery(&bodies(&billing_event()))],
        ),
        (
            "handle-package-expiring",
            vec![delivery(&bodies(&expiring_event()))],
        ),
        (
            "deliver-package-order",
            package_orders()
                .map(|good| delivery(&bodies(&good)))
                .to_vec(),
        ),
        (
            "record-webhook-deliveries",
            vec![delivery(&[entry(1, CANARY), entry(1, "PackageExpired")])],
        ),
        ("expire-packages", strange()),
        ("migrate", with_canaries(&deployment)),
    ] {
        let log = log_of(function, &world.pool, &issuer, [events, strange()].concat()).await;
        assert_no_canary(&log);
    }
}
