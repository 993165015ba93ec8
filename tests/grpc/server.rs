//! The gRPC server itself: reflection, deadlines, limits, compression, shutdown and gRPC-Web.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use local::python::Environment;
use local::settings::Settings;
use proto::v1;
use proto::v1::node_server_manage_client::NodeServerManageClient;
use proto::v1::telecom_client::TelecomClient;
use serde_json::{Map, Value, json};
use shared::config::CorsConfig;
use sqlx::{PgPool, Postgres, Transaction};
use telecom_grpc::GrpcConfig;
use telecom_tests::api::OPERATIONS;
use telecom_tests::grpc::{GrpcServer, config};
use telecom_tests::token::Issuer;
use telecom_tests::{World, until, user};
use tonic::codec::CompressionEncoding::Gzip;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_types::StatusExt;

const SERVERS: &str = "telecom.v1.NodeServerManage/ListNodeServers";

async fn serve(pool: PgPool, config: GrpcConfig) -> (World, Issuer, GrpcServer) {
    let (world, issuer) = (World::new(pool).await, Issuer::default());
    let server = GrpcServer::start(&world, &issuer, config).await;
    (world, issuer, server)
}

/// Blocks reads of node servers until the transaction is dropped.
async fn lock_servers(pool: &PgPool) -> Transaction<'static, Postgres> {
    let mut tx = pool.begin().await.unwrap();
    sqlx::query("lock table telecom.node_server in access exclusive mode")
        .execute(&mut *tx)
        .await
        .unwrap();
    tx
}

/// Number of calls that wait for a lock in the database.
async fn waiting(pool: &PgPool) -> i64 {
    sqlx::query_scalar(
        "select count(*) from pg_stat_activity where datname = current_database() \
         and wait_event_type = 'Lock'",
    )
    .fetch_one(pool)
    .await
    .unwrap()
}

fn list_request(token: &str) -> Request<v1::ListNodeServersRequest> {
    let mut request = Request::new(v1::ListNodeServersRequest::default());
    request
        .metadata_mut()
        .insert("authorization", format!("Bearer {token}").parse().unwrap());
    request
}

async fn list(channel: Channel, token: String) -> Result<i64, Status> {
    Ok(NodeServerManageClient::new(channel)
        .list_node_servers(list_request(&token))
        .await?
        .into_inner()
        .total)
}

async fn status_of(channel: &Channel, service: &str) -> i32 {
    let request = HealthCheckRequest {
        service: service.to_owned(),
    };
    HealthClient::new(channel.clone())
        .check(request)
        .await
        .unwrap()
        .into_inner()
        .status
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_generic_client_finds_and_calls_all_methods_by_reflection(pool: PgPool) {
    let (_world, issuer, server) = serve(pool, config()).await;
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let succeeding = OPERATIONS
        .iter()
        .filter(|operation| operation.status == 200);
    let messages = succeeding.map(|operation| {
        let name = operation.method.rsplit('/').next().unwrap().to_owned();
        (
            name,
            serde_json::from_str::<Value>(operation.message).unwrap(),
        )
    });
    let messages: Vec<(String, Value)> = messages.collect();
    let count = messages.len();
    let (address, token) = (server.address.to_string(), issuer.admin());
    let answered = tokio::task::spawn_blocking(move || {
        let python = Environment::ensure(&Settings::lasting(root), "grpc").unwrap();
        let mut client = Command::new(python.program("python"));
        client
            .arg(root.join("tests/grpc/stranger.py"))
            .args([address, token]);
        client
            .arg(Value::Object(messages.into_iter().collect::<Map<_, _>>()).to_string())
            .output()
            .unwrap()
    });
    let output = answered.await.unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    for service in [
        "Telecom",
        "NodeServerManage",
        "NodeClientManage",
        "OperationManage",
        "PackageManage",
        "PackageQueueManage",
        "UsageManage",
        "WebhookManage",
    ] {
        assert!(
            found["services"]
                .as_array()
                .unwrap()
                .contains(&json!(format!("telecom.v1.{service}"))),
            "{found}"
        );
    }
    assert_eq!(
        (
            &found["health"],
            found["answers"].as_object().unwrap().len()
        ),
        (&json!(1), count)
    );
    assert_eq!(
        found["answers"]["ListNodeServers"]["servers"][0]["name"],
        "s1"
    );
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn reflection_can_be_switched_off(pool: PgPool) {
    use tonic_reflection::pb::v1::ServerReflectionRequest;
    use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
    let (_world, _, server) = serve(
        pool,
        GrpcConfig {
            reflection: false,
            ..config()
        },
    )
    .await;
    let mut client = ServerReflectionClient::new(server.connect().await);
    let refused = client
        .server_reflection_info(tokio_stream::once(ServerReflectionRequest::default()))
        .await;
    assert_eq!(refused.unwrap_err().code(), Code::Unimplemented);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn the_query_is_cancelled_when_the_client_deadline_passes(pool: PgPool) {
    let (world, issuer, server) = serve(pool, config()).await;
    let lock = lock_servers(&world.pool).await;
    let mut request = list_request(&issuer.admin());
    request.set_timeout(Duration::from_millis(300));
    let status = NodeServerManageClient::new(server.connect().await)
        .list_node_servers(request)
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded, "{status}");
    until("the query is cancelled", async || {
        waiting(&world.pool).await == 0
    })
    .await;
    // The same for an operation of a single statement.
    let mut request = Request::new(v1::ShowNodeServerRequest {
        id: 1,
        reveal_secrets: false,
    });
    request.metadata_mut().insert(
        "authorization",
        format!("Bearer {}", issuer.admin()).parse().unwrap(),
    );
    request.set_timeout(Duration::from_millis(300));
    let status = NodeServerManageClient::new(server.connect().await)
        .show_node_server(request)
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded, "{status}");
    until("the statement is cancelled", async || {
        waiting(&world.pool).await == 0
    })
    .await;
    drop(lock);
    assert_eq!(
        list(server.connect().await, issuer.admin()).await.unwrap(),
        1
    );
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_call_without_a_deadline_ends_at_the_server_timeout(pool: PgPool) {
    let limits = GrpcConfig {
        call_timeout: Duration::from_millis(200),
        ..config()
    };
    let (world, issuer, server) = serve(pool, limits).await;
    let _lock = lock_servers(&world.pool).await;
    let status = list(server.connect().await, issuer.admin())
        .await
        .unwrap_err();
    assert_eq!(
        (
            status.code(),
            status.get_details_error_info().unwrap().reason.as_str()
        ),
        (Code::DeadlineExceeded, "deadline_exceeded")
    );
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn calls_over_the_limit_are_refused_with_a_retry_hint(pool: PgPool) {
    let (world, issuer, server) = serve(
        pool,
        GrpcConfig {
            max_calls: 1,
            ..config()
        },
    )
    .await;
    let lock = lock_servers(&world.pool).await;
    // The limit of a connection is another one, so the calls use two connections.
    let first = tokio::spawn(list(server.connect().await, issuer.admin()));
    until("the first call waits", async || {
        waiting(&world.pool).await == 1
    })
    .await;
    let status = list(server.connect().await, issuer.admin())
        .await
        .unwrap_err();
    let details = status.get_error_details();
    assert_eq!(
        (status.code(), details.error_info().unwrap().reason.as_str()),
        (Code::Unavailable, "overloaded")
    );
    assert!(details.retry_info().is_some());
    drop(lock);
    assert_eq!(first.await.unwrap().unwrap(), 1);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn an_abandoned_change_is_cancelled_in_the_database(pool: PgPool) {
    let (world, issuer, server) = serve(pool, config()).await;
    let lock = lock_servers(&world.pool).await;
    let change = v1::SetNodeServerMaintenanceRequest {
        id: 1,
        maintenance: true,
        reason: "x".into(),
    };
    let mut request = Request::new(change);
    request.metadata_mut().insert(
        "authorization",
        format!("Bearer {}", issuer.admin()).parse().unwrap(),
    );
    request.set_timeout(Duration::from_millis(300));
    let mut client = NodeServerManageClient::new(server.connect().await);
    assert_eq!(
        client
            .set_node_server_maintenance(request)
            .await
            .unwrap_err()
            .code(),
        Code::DeadlineExceeded
    );
    until("the statement is cancelled", async || {
        waiting(&world.pool).await == 0
    })
    .await;
    drop(lock);
    assert_eq!(
        world
            .number("select count(*) from telecom.node_server where status = 'maintenance'")
            .await,
        0
    );
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn responses_are_compressed_if_the_client_accepts_gzip(pool: PgPool) {
    let (_world, issuer, server) = serve(pool, config()).await;
    let channel = server.connect().await;
    let mut zipped = NodeServerManageClient::new(channel.clone())
        .send_compressed(Gzip)
        .accept_compressed(Gzip);
    let answer = zipped
        .list_node_servers(list_request(&issuer.admin()))
        .await
        .unwrap();
    assert_eq!(answer.metadata().get("grpc-encoding").unwrap(), "gzip");
    let mut plain = NodeServerManageClient::new(channel);
    let other = plain
        .list_node_servers(list_request(&issuer.admin()))
        .await
        .unwrap();
    assert!(other.metadata().get("grpc-encoding").is_none());
    assert_eq!(answer.into_inner(), other.into_inner());
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_stopping_server_reports_it_and_completes_its_calls(pool: PgPool) {
    let (world, issuer, mut server) = serve(
        pool,
        GrpcConfig {
            drain: Duration::from_millis(500),
            ..config()
        },
    )
    .await;
    let channel = server.connect().await;
    assert_eq!(status_of(&channel, "telecom.v1.Telecom").await, 1);
    let lock = lock_servers(&world.pool).await;
    let under_way = tokio::spawn(list(channel.clone(), issuer.admin()));
    until("the call is under way", async || {
        waiting(&world.pool).await == 1
    })
    .await;
    server.stop();
    until("the health check reports not serving", async || {
        status_of(&channel, "").await == 2
    })
    .await;
    // While the server drains, calls succeed on old and new connections.
    for channel in [channel.clone(), server.connect().await] {
        let mut client = TelecomClient::new(channel);
        let mut request = Request::new(v1::GetRecentTrafficUsageRequest {
            range: 1,
            ..Default::default()
        });
        request.metadata_mut().insert(
            "authorization",
            format!("Bearer {}", issuer.user(user(1))).parse().unwrap(),
        );
        assert_eq!(
            client
                .get_recent_traffic_usage(request)
                .await
                .unwrap()
                .into_inner()
                .raw
                .len(),
            24
        );
    }
    tokio::time::sleep(Duration::from_millis(600)).await;
    drop(lock);
    assert_eq!(under_way.await.unwrap().unwrap(), 1);
    server.stopped().await;
}

/// Headers of the response to the request that a browser sends before a call.
async fn preflight(url: &str) -> http::HeaderMap {
    let request = http::Request::options(url)
        .header("origin", "https://app.test")
        .header("access-control-request-method", "POST")
        .header(
            "access-control-request-headers",
            "authorization,content-type,x-grpc-web,grpc-timeout",
        )
        .body(())
        .unwrap();
    tokio::task::spawn_blocking(move || ureq::run(request).unwrap().headers().clone())
        .await
        .unwrap()
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn grpc_web_calls_are_allowed_from_configured_origins(pool: PgPool) {
    let cors = CorsConfig {
        allowed_origins: vec!["https://app.test".parse().unwrap()],
    };
    let (_world, issuer, server) = serve(
        pool,
        GrpcConfig {
            web: Some(cors),
            ..config()
        },
    )
    .await;
    let url = format!("http://{}/{SERVERS}", server.address);
    let token = format!("Bearer {}", issuer.admin());
    let allowed = preflight(&url).await;
    let allows = |name: &str| allowed[name].to_str().unwrap().to_lowercase();
    assert!(allows("access-control-allow-methods").contains("post"));
    for header in [
        "authorization",
        "content-type",
        "x-grpc-web",
        "grpc-timeout",
    ] {
        assert!(
            allows("access-control-allow-headers").contains(header),
            "{header}"
        );
    }
    let answer = tokio::task::spawn_blocking(move || {
        // An empty message: no flags, length 0.
        let request = ureq::post(&url)
            .header("content-type", "application/grpc-web+proto")
            .header("origin", "https://app.test");
        let mut response = request
            .header("authorization", token)
            .header("x-grpc-web", "1")
            .send(&[0_u8; 5])
            .unwrap();
        let allowed = response
            .headers()
            .get("access-control-allow-origin")
            .cloned();
        let kind = response.headers()["content-type"].clone();
        (
            response.status().as_u16(),
            allowed,
            kind,
            response.body_mut().read_to_vec().unwrap(),
        )
    });
    let (status, allowed, kind, body) = answer.await.unwrap();
    assert_eq!(
        (status, allowed.unwrap().to_str().unwrap()),
        (200, "https://app.test")
    );
    assert_eq!(kind, "application/grpc-web+proto");
    let text = String::from_utf8_lossy(&body);
    assert!(
        text.contains("s1") && text.contains("grpc-status:0"),
        "{text}"
    );
    // The same server still serves plain gRPC.
    assert!(list(server.connect().await, issuer.admin()).await.is_ok());
}
