//! A busy server that receives SIGTERM. Clients that leave when its health check fails see no call
//! fail.

use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use proto::v1;
use proto::v1::node_server_manage_client::NodeServerManageClient;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use shared::clock::{Clock, System};
use sqlx::{ConnectOptions, PgPool};
use telecom_tests::token::{AUDIENCE, ISSUER, Issuer, claims};
use telecom_tests::{World, until};
use tonic::Request;
use tonic::transport::{Channel, Endpoint};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

const CLIENTS: usize = 8;

/// A server process, killed on drop.
pub(super) struct Process(pub(super) Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Process {
    fn start(pool: &PgPool, issuer: &Issuer) -> (Self, Endpoint) {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let process = configured(Command::new(binary()), port, pool, issuer)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        (
            Self(process),
            Endpoint::from_shared(format!("http://127.0.0.1:{port}")).unwrap(),
        )
    }
}

pub(super) fn binary() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/debug/telecom-grpc")
}

/// Sets the documented variables and no others.
pub(super) fn configured(
    mut command: Command,
    port: u16,
    pool: &PgPool,
    issuer: &Issuer,
) -> Command {
    command
        .env_clear()
        .env(
            "DATABASE_URL",
            pool.connect_options().to_url_lossy().as_str(),
        )
        .env("DATABASE_MAX_CONNECTIONS", "4")
        .env("TELECOM_GRPC_ADDRESS", format!("127.0.0.1:{port}"))
        .env("TELECOM_GRPC_METRICS_ADDRESS", "127.0.0.1:0")
        .env("TELECOM_GRPC_DRAIN_SECONDS", "2")
        .envs([
            ("TELECOM_AUTH_ISSUER", ISSUER),
            ("TELECOM_AUTH_AUDIENCE", AUDIENCE),
            // The tests call as often as they can.
            ("TELECOM_USER_REQUESTS_PER_MINUTE", "0"),
        ])
        .env(
            "TELECOM_AUTH_JWKS",
            serde_json::to_string(&issuer.jwks()).unwrap(),
        );
    command
}

async fn connect(endpoint: &Endpoint) -> Channel {
    until("the server listens", async || {
        endpoint.connect().await.is_ok()
    })
    .await;
    endpoint.connect().await.unwrap()
}

async fn is_serving(channel: Channel) -> bool {
    let answer = HealthClient::new(channel)
        .check(HealthCheckRequest::default())
        .await;
    answer.is_ok_and(|answer| answer.into_inner().status == 1)
}

/// Calls the server until its health check, which a load balancer would use, fails. Returns the
/// number of calls, all of which succeeded.
async fn call_while_serving(channel: Channel, token: String) -> usize {
    let mut answered = 0;
    while is_serving(channel.clone()).await {
        let mut request = Request::new(v1::ListNodeServersRequest::default());
        request
            .metadata_mut()
            .insert("authorization", format!("Bearer {token}").parse().unwrap());
        let answer = NodeServerManageClient::new(channel.clone())
            .list_node_servers(request)
            .await;
        assert_eq!(answer.unwrap().into_inner().total, 1);
        answered += 1;
    }
    answered
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_busy_server_stops_on_sigterm_without_failed_calls(pool: PgPool) {
    let (world, issuer) = (World::new(pool).await, Issuer::default());
    let (mut process, endpoint) = Process::start(&world.pool, &issuer);
    let mut claims = claims(uuid::Uuid::from_u128(1), "telecom:admin");
    claims["exp"] = json!(System.now().timestamp() + 600);
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        clients.push(tokio::spawn(call_while_serving(
            connect(&endpoint).await,
            issuer.sign(&claims),
        )));
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    let id = Pid::from_raw(i32::try_from(process.0.id()).unwrap()).unwrap();
    kill_process(id, Signal::TERM).unwrap();
    for client in clients {
        assert!(
            client.await.unwrap() > 0,
            "every client was served, and never refused"
        );
    }
    until("the server has ended", async || {
        process.0.try_wait().unwrap().is_some()
    })
    .await;
    assert_eq!(process.0.wait().unwrap().code(), Some(0));
}
