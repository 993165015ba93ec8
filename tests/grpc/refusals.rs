//! Unreadable gRPC input is the caller's error, with a code, a reason and one line in the log.

mod arbitrary;

use bytes::Bytes;
use http_body_util::Full;
use serde_json::{Value, json};
use shared::config::CorsConfig;
use sqlx::PgPool;
use telecom_grpc::GrpcConfig;
use telecom_tests::World;
use telecom_tests::grpc::{BytesCodec, GrpcServer, call, call_raw, call_with, config};
use telecom_tests::log::Log;
use telecom_tests::token::Issuer;
use tonic::body::Body;
use tonic::codec::CompressionEncoding;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};
use tonic_types::StatusExt;
use tower::ServiceExt;

const TRAFFIC: &str = "telecom.v1.Telecom/GetRecentTrafficUsage";
const PACKAGES: &str = "telecom.v1.PackageQueueManage/ListQueuedPackages";

/// Code and reason of an error.
type Outcome = (Code, &'static str);
const MALFORMED: Outcome = (Code::InvalidArgument, "malformed_message");
const TOO_LARGE: Outcome = (Code::ResourceExhausted, "message_too_large");
const UNIMPLEMENTED: Outcome = (Code::Unimplemented, "unimplemented");

const REQUEST_ID: &str = "7c0e3b1a-5f0d-4c8e-9a6b-2f1d3e4c5b6a";

fn reason(status: &Status) -> String {
    status
        .get_details_error_info()
        .map(|info| info.reason)
        .unwrap_or_default()
}

#[track_caller]
fn assert_refused(status: &Status, (code, expected): Outcome, what: &str) {
    assert_eq!(
        (status.code(), reason(status).as_str()),
        (code, expected),
        "{what}: {status:?}"
    );
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
    for (what, method, message, (code, expected)) in [
        ("unterminated", TRAFFIC, vec![0x08, 0xff], MALFORMED),
        (
            "not UTF-8",
            TRAFFIC,
            vec![0x12, 0x02, 0xff, 0xfe],
            MALFORMED,
        ),
        ("truncated", PACKAGES, vec![0x0a, 0x24, b'x'], MALFORMED),
        ("unclosed group", TRAFFIC, vec![0x0b], MALFORMED),
        ("field 0", TRAFFIC, vec![0x00, 0x00], MALFORMED),
        ("wrong wire type", TRAFFIC, vec![0x0a, 0x00], MALFORMED),
        ("too large", TRAFFIC, vec![0; 20_000], TOO_LARGE),
        (
            "no such method",
            "telecom.v1.Telecom/DropTables",
            vec![],
            UNIMPLEMENTED,
        ),
        (
            "no such service",
            "telecom.v2.Telecom/ListNodes",
            vec![],
            UNIMPLEMENTED,
        ),
        (
            "health check, not UTF-8",
            "grpc.health.v1.Health/Check",
            vec![0x0a, 0x01, 0xff],
            MALFORMED,
        ),
    ] {
        let status = call_raw(&channel, method, of_admin(&issuer, message))
            .await
            .unwrap_err();
        assert_refused(&status, (code, expected), what);
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
    assert_refused(&status, UNIMPLEMENTED, "an unknown encoding");
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
    for (what, encoding, frames, (code, expected)) in [
        ("no frame", "identity", vec![], MALFORMED),
        ("half a header", "identity", vec![0, 0, 0], MALFORMED),
        (
            "half a message",
            "identity",
            vec![0, 0, 0, 0, 9, 8, 1],
            MALFORMED,
        ),
        ("no such flag", "identity", vec![7, 0, 0, 0, 0], MALFORMED),
        (
            "compressed without an encoding",
            "identity",
            packed.clone(),
            MALFORMED,
        ),
        ("invalid gzip", "gzip", packed, MALFORMED),
        (
            "excessive length",
            "identity",
            vec![0, 0xff, 0xff, 0xff, 0xff],
            TOO_LARGE,
        ),
    ] {
        let status = send_frames(&channel, &issuer, encoding, frames).await;
        assert_refused(&status, (code, expected), what);
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
    assert_refused(&status, TOO_LARGE, "too large when decompressed");
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
        assert_refused(&status, MALFORMED, junk);
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
    assert_refused(
        &status,
        (Code::InvalidArgument, "answer_too_large"),
        "five megabytes",
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
            ("trace_id", json!("4bf92f3577b34da6a3ce929d0e0e4736")),
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
