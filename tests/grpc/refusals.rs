//! Unreadable gRPC input is the caller's error, with a code, a reason and one line in the log.

use std::sync::OnceLock;

use bytes::Bytes;
use http_body_util::Full;
use proptest::prelude::*;
use serde_json::{Value, json};
use shared::config::CorsConfig;
use sqlx::PgPool;
use telecom_grpc::GrpcConfig;
use telecom_tests::World;
use telecom_tests::api::OPERATIONS;
use telecom_tests::grpc::{BytesCodec, GrpcServer, call, call_raw, call_with, config};
use telecom_tests::log::Log;
use telecom_tests::token::Issuer;
use tokio::runtime::Runtime;
use tonic::body::Body;
use tonic::codec::CompressionEncoding;
use tonic::metadata::MetadataValue;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};
use tonic_types::StatusExt;
use tower::ServiceExt;

const TRAFFIC: &str = "telecom.v1.Telecom/GetRecentTrafficUsage";
const PACKAGES: &str = "telecom.v1.PackageQueueManage/ListQueuedPackages";

const REQUEST_ID: &str = "7c0e3b1a-5f0d-4c8e-9a6b-2f1d3e4c5b6a";

fn reason(status: &Status) -> String {
    status
        .get_details_error_info()
        .map(|info| info.reason)
        .unwrap_or_default()
}

fn of_admin(issuer: &Issuer, message: Vec<u8>) -> Request<Vec<u8>> {
    let mut request = Request::new(message);
    request.metadata_mut().insert(
        "authorization",
        format!("Bearer {}", issuer.admin_with_secrets())
            .parse()
            .unwrap(),
    );
    request
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn transport_errors_have_a_code_a_reason_and_one_log_line(pool: PgPool) {
    let (world, issuer) = (World::new(pool).await, Issuer::default());
    let server = GrpcServer::start(&world, &issuer, config()).await;
    let channel = server.connect().await;
    let log = Log::begin();
    // Field 1 as an unterminated varint; field 2, a string, that is not UTF-8; a string longer than
    // the message; an unclosed group; field 0.
    for (what, method, message, code, expected) in [
        (
            "unterminated",
            TRAFFIC,
            vec![0x08, 0xff],
            Code::InvalidArgument,
            "malformed_message",
        ),
        (
            "not UTF-8",
            TRAFFIC,
            vec![0x12, 0x02, 0xff, 0xfe],
            Code::InvalidArgument,
            "malformed_message",
        ),
        (
            "truncated",
            PACKAGES,
            vec![0x0a, 0x24, b'x'],
            Code::InvalidArgument,
            "malformed_message",
        ),
        (
            "unclosed group",
            TRAFFIC,
            vec![0x0b],
            Code::InvalidArgument,
            "malformed_message",
        ),
        (
            "field 0",
            TRAFFIC,
            vec![0x00, 0x00],
            Code::InvalidArgument,
            "malformed_message",
        ),
        (
            "wrong wire type",
            TRAFFIC,
            vec![0x0a, 0x00],
            Code::InvalidArgument,
            "malformed_message",
        ),
        (
            "too large",
            TRAFFIC,
            vec![0; 20_000],
            Code::ResourceExhausted,
            "message_too_large",
        ),
        (
            "no such method",
            "telecom.v1.Telecom/DropTables",
            vec![],
            Code::Unimplemented,
            "unimplemented",
        ),
        (
            "no such service",
            "telecom.v2.Telecom/ListNodes",
            vec![],
            Code::Unimplemented,
            "unimplemented",
        ),
        (
            "health check, not UTF-8",
            "grpc.health.v1.Health/Check",
            vec![0x0a, 0x01, 0xff],
            Code::InvalidArgument,
            "malformed_message",
        ),
    ] {
        let status = call_raw(&channel, method, of_admin(&issuer, message))
            .await
            .unwrap_err();
        assert_eq!(
            (status.code(), reason(&status).as_str()),
            (code, expected),
            "{what}: {status:?}"
        );
        let lines = log.take("call");
        assert_eq!(lines.len(), 1, "{what}: {lines:?}");
        assert_eq!(
            (&lines[0]["error_code"], &lines[0]["code"]),
            (&json!(expected), &json!(format!("{code:?}"))),
            "{what}"
        );
    }
    let mut strange = of_admin(&issuer, vec![]);
    strange
        .metadata_mut()
        .insert("grpc-encoding", "zip".parse().unwrap());
    let status = call_raw(&channel, TRAFFIC, strange).await.unwrap_err();
    assert_eq!(
        (status.code(), reason(&status).as_str()),
        (Code::Unimplemented, "unimplemented")
    );
    // The channel still works.
    assert!(
        call_raw(&channel, PACKAGES, of_admin(&issuer, vec![]))
            .await
            .is_ok()
    );
}

/// Frames that no client library sends. A frame is a flag, a length of four bytes and a message.
#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_malformed_frame_is_a_client_error(pool: PgPool) {
    let (world, issuer) = (World::new(pool).await, Issuer::default());
    let server = GrpcServer::start(&world, &issuer, config()).await;
    let channel = server.connect().await;
    let log = Log::begin();
    let packed = [&[1, 0, 0, 0, 3][..], b"xyz"].concat();
    for (what, encoding, frames, code, expected) in [
        (
            "no frame",
            "identity",
            vec![],
            Code::InvalidArgument,
            "malformed_message",
        ),
        (
            "half a header",
            "identity",
            vec![0, 0, 0],
            Code::InvalidArgument,
            "malformed_message",
        ),
        (
            "half a message",
            "identity",
            vec![0, 0, 0, 0, 9, 8, 1],
            Code::InvalidArgument,
            "malformed_message",
        ),
        (
            "no such flag",
            "identity",
            vec![7, 0, 0, 0, 0],
            Code::InvalidArgument,
            "malformed_message",
        ),
        (
            "compressed without an encoding",
            "identity",
            packed.clone(),
            Code::InvalidArgument,
            "malformed_message",
        ),
        (
            "invalid gzip",
            "gzip",
            packed,
            Code::InvalidArgument,
            "malformed_message",
        ),
        (
            "excessive length",
            "identity",
            vec![0, 0xff, 0xff, 0xff, 0xff],
            Code::ResourceExhausted,
            "message_too_large",
        ),
    ] {
        let status = send_frames(&channel, &issuer, encoding, frames).await;
        assert_eq!(
            (status.code(), reason(&status).as_str()),
            (code, expected),
            "{what}: {status:?}"
        );
        let lines = log.take("call");
        assert_eq!(
            (lines.len(), &lines[0]["level"], &lines[0]["error_code"]),
            (1, &json!("INFO"), &json!(expected)),
            "{what}"
        );
    }
    // A message that is small while compressed and too large when decompressed.
    let mut client =
        tonic::client::Grpc::new(channel.clone()).send_compressed(CompressionEncoding::Gzip);
    client.ready().await.unwrap();
    let path = format!("/{TRAFFIC}").parse().unwrap();
    let status = client
        .unary(of_admin(&issuer, vec![0; 1 << 20]), path, BytesCodec)
        .await
        .unwrap_err();
    assert_eq!(
        (status.code(), reason(&status).as_str()),
        (Code::ResourceExhausted, "message_too_large")
    );
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn malformed_grpc_web_text_is_a_client_error(pool: PgPool) {
    let (world, issuer) = (World::new(pool).await, Issuer::default());
    let web = Some(CorsConfig {
        allowed_origins: vec![],
    });
    let server = GrpcServer::start(&world, &issuer, GrpcConfig { web, ..config() }).await;
    let channel = server.connect().await;
    let log = Log::begin();
    for junk in ["!!!!", "AAAAAA=A", "AAA", "AAAAAAU"] {
        let request = http::Request::post(format!("http://test/{TRAFFIC}"))
            .header("content-type", "application/grpc-web-text")
            .header("authorization", format!("Bearer {}", issuer.admin()))
            .body(Body::new(Full::new(Bytes::from(junk))))
            .unwrap();
        let answer = channel.clone().oneshot(request).await.unwrap();
        let status = Status::from_header_map(answer.headers()).unwrap();
        assert_eq!(
            (status.code(), reason(&status).as_str()),
            (Code::InvalidArgument, "malformed_message"),
            "{junk}"
        );
        let lines = log.take("call");
        assert_eq!(
            (lines.len(), &lines[0]["level"]),
            (1, &json!("INFO")),
            "{junk}: {lines:?}"
        );
    }
}

/// Sends arbitrary frames and returns the status.
async fn send_frames(
    channel: &Channel,
    issuer: &Issuer,
    encoding: &str,
    frames: Vec<u8>,
) -> Status {
    let request = http::Request::post(format!("http://test/{TRAFFIC}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("grpc-encoding", encoding)
        .header("authorization", format!("Bearer {}", issuer.admin()))
        .body(Body::new(Full::new(Bytes::from(frames))))
        .unwrap();
    let answer = channel.clone().oneshot(request).await.unwrap();
    Status::from_header_map(answer.headers()).unwrap()
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_response_over_the_size_limit_is_not_sent(pool: PgPool) {
    let (world, issuer) = (World::new(pool).await, Issuer::default());
    world
        .sql("update telecom.node_client set location = repeat('y', 5000000)")
        .await;
    let server = GrpcServer::start(&world, &issuer, config()).await;
    let log = Log::begin();
    let (channel, token) = (server.connect().await, issuer.admin());
    let answer = call(
        &channel,
        "telecom.v1.NodeClientManage/ShowNodeClient",
        json!({ "id": 11 }),
        Some(&token),
    );
    let status = answer.await.unwrap_err();
    assert_eq!(
        (status.code(), reason(&status).as_str()),
        (Code::InvalidArgument, "answer_too_large")
    );
    let lines = log.take("call");
    assert_eq!(
        (lines.len(), &lines[0]["error_code"]),
        (1, &json!("answer_too_large")),
        "{lines:?}"
    );
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn every_call_logs_one_line_with_its_request_id(pool: PgPool) {
    let (world, issuer) = (World::new(pool).await, Issuer::default());
    let server = GrpcServer::start(&world, &issuer, config()).await;
    let channel = server.connect().await;
    let log = Log::begin();
    let ask = async |message: Value, token: String| {
        let mut request = Request::new(message);
        let metadata = request.metadata_mut();
        metadata.insert("authorization", format!("Bearer {token}").parse().unwrap());
        metadata.insert("x-request-id", REQUEST_ID.parse().unwrap());
        metadata.insert(
            "traceparent",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
                .parse()
                .unwrap(),
        );
        let _ = call_with(
            &channel,
            "telecom.v1.NodeServerManage/ListNodeServers",
            request,
        )
        .await;
        let mut lines = log.take("call");
        assert_eq!(lines.len(), 1, "{lines:?}");
        lines.remove(0)
    };
    for (message, token, level, code, error_code) in [
        (json!({}), issuer.admin(), "INFO", "Ok", Value::Null),
        (
            json!({ "limit": 1_000 }),
            issuer.admin(),
            "INFO",
            "InvalidArgument",
            json!("invalid_parameter"),
        ),
        (
            json!({}),
            "x".to_owned(),
            "INFO",
            "Unauthenticated",
            json!("token_malformed"),
        ),
    ] {
        let line = ask(message, token.clone()).await;
        for (name, value) in [
            ("message", json!("call completed")),
            ("level", json!(level)),
            ("operation", json!("ListNodeServers")),
            ("code", json!(code)),
            ("error_code", error_code),
            ("request_id", json!(REQUEST_ID)),
            (
                "trace_id",
                json!("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
            ),
        ] {
            assert_eq!(line[name], value, "{name}: {line}");
        }
        assert!(line["took_ms"].is_u64(), "{line}");
        assert!(token == "x" || !line.to_string().contains(&token), "{line}");
    }
    world.api.close().await;
    let line = ask(json!({}), issuer.admin()).await;
    assert_eq!(
        (&line["level"], &line["error_code"]),
        (&json!("WARN"), &json!("unavailable")),
        "{line}"
    );
    assert!(line["cause"].is_string(), "{line}");
}

/// A server whose database is unreachable, so that every accepted call ends as UNAVAILABLE.
fn server() -> (&'static Runtime, &'static Channel, &'static Issuer) {
    static SERVER: OnceLock<(Runtime, Channel, Issuer, GrpcServer)> = OnceLock::new();
    let (runtime, channel, issuer, _) = SERVER.get_or_init(|| {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let issuer = Issuer::default();
        let (server, channel) = runtime.block_on(async {
            let server = GrpcServer::start(&World::offline(), &issuer, config()).await;
            let channel = server.connect().await;
            (server, channel)
        });
        (runtime, channel, issuer, server)
    });
    (runtime, channel, issuer)
}

/// Fails if an outcome is an error of the server.
fn check(outcome: Result<Vec<u8>, Status>) -> Result<(), TestCaseError> {
    const EXPECTED: [Code; 7] = [
        Code::InvalidArgument,
        Code::Unauthenticated,
        Code::Unavailable,
        Code::Unimplemented,
        Code::ResourceExhausted,
        // Caused by a random `grpc-timeout`.
        Code::DeadlineExceeded,
        Code::Cancelled,
    ];
    if let Err(status) = outcome {
        prop_assert!(EXPECTED.contains(&status.code()), "{:?}", status);
    }
    Ok(())
}

/// Random bytes, and random fields that a message may have.
fn message() -> impl Strategy<Value = Vec<u8>> {
    let field = (0_u8..8, any::<u64>()).prop_map(|(field, value)| {
        let mut bytes = vec![field << 3];
        let mut rest = value;
        while rest >= 0x80 {
            bytes.push(rest.to_le_bytes()[0] | 0x80);
            rest >>= 7;
        }
        bytes.push(rest.to_le_bytes()[0]);
        bytes
    });
    let text = (
        0_u8..8,
        prop_oneof![any::<Vec<u8>>(), ".{0,40}".prop_map(String::into_bytes)],
    )
        .prop_map(|(field, text)| {
            let text: Vec<u8> = text.into_iter().take(100).collect();
            [
                vec![field << 3 | 2, u8::try_from(text.len()).unwrap()],
                text,
            ]
            .concat()
        });
    prop_oneof![
        any::<Vec<u8>>(),
        prop::collection::vec(prop_oneof![field, text], 0..6).prop_map(|fields| fields.concat())
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 768, failure_persistence: None,
        ..ProptestConfig::default() })]

    #[test]
    fn no_message_causes_an_internal_error(operation in 0..OPERATIONS.len(), message in message()) {
        let (runtime, channel, issuer) = server();
        check(runtime.block_on(call_raw(channel, OPERATIONS[operation].method, of_admin(issuer,
            message))))?;
    }

    #[test]
    fn no_metadata_causes_an_internal_error(
        name in prop_oneof![
            Just("authorization"), Just("grpc-timeout"), Just("grpc-encoding"),
                Just("grpc-accept-encoding"),
            Just("x-request-id"), Just("traceparent"), Just("x"),
        ],
        value in prop_oneof!["[ -~]{0,200}", "[0-9]{1,9}[HMSmun]", "Bearer [A-Za-z0-9_.-]{0,80}"],
    ) {
        let (runtime, channel, issuer) = server();
        let mut request = of_admin(issuer, vec![]);
        request.metadata_mut().insert(name, MetadataValue::try_from(value).unwrap());
        check(runtime.block_on(call_raw(channel, TRAFFIC, request)))?;
    }
}
