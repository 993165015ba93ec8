//! Limits on what one client may hold of the gRPC server: watches, connections, streams.

use std::time::{Duration, Instant};

use telecom_grpc::GrpcConfig;
use telecom_tests::World;
use telecom_tests::grpc::{GrpcServer, config};
use telecom_tests::token::Issuer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tonic::transport::Channel;
use tonic::{Code, Status, Streaming};
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

/// The first bytes of an HTTP/2 client, with an empty settings frame.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00";

async fn serve(config: GrpcConfig) -> GrpcServer {
    GrpcServer::start(&World::offline(), &Issuer::default(), config).await
}

async fn watch(channel: &Channel) -> Result<Streaming<HealthCheckResponse>, Status> {
    Ok(HealthClient::new(channel.clone())
        .watch(HealthCheckRequest::default())
        .await?
        .into_inner())
}

async fn is_served(server: &GrpcServer) -> bool {
    let Ok(channel) = Channel::from_shared(format!("http://{}", server.address))
        .unwrap()
        .connect()
        .await
    else {
        return false;
    };
    HealthClient::new(channel)
        .check(HealthCheckRequest::default())
        .await
        .is_ok()
}

/// Waits until the server closes a connection. Returns the time that took.
async fn closed(mut stream: TcpStream) -> Duration {
    let began = Instant::now();
    let mut rest = Vec::new();
    // A reset of the connection is accepted as well.
    let _ = tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut rest))
        .await
        .unwrap();
    began.elapsed()
}

#[tokio::test]
async fn an_open_watch_does_not_delay_a_shutdown() {
    let mut server = serve(config()).await;
    let channel = server.connect().await;
    let mut changes = watch(&channel).await.unwrap();
    assert_eq!(changes.message().await.unwrap().unwrap().status, 1);
    let began = Instant::now();
    server.stop();
    assert_eq!(changes.message().await.unwrap().unwrap().status, 2);
    assert!(changes.message().await.unwrap().is_none(), "the watch ends");
    server.stopped().await;
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "{:?}",
        began.elapsed()
    );
}

#[tokio::test]
async fn the_number_of_open_watches_is_limited() {
    let server = serve(config()).await;
    let channel = server.connect().await;
    let mut open = Vec::new();
    for _ in 0..64 {
        open.push(watch(&channel).await.unwrap());
    }
    assert_eq!(
        watch(&channel).await.unwrap_err().code(),
        Code::ResourceExhausted
    );
    open.truncate(60);
    telecom_tests::until("there is room", async || watch(&channel).await.is_ok()).await;
}

#[tokio::test]
async fn the_number_of_open_connections_is_limited() {
    let server = serve(GrpcConfig {
        max_connections: 2,
        ..config()
    })
    .await;
    let held = [
        TcpStream::connect(server.address).await.unwrap(),
        TcpStream::connect(server.address).await.unwrap(),
    ];
    telecom_tests::until("no more are served", async || !is_served(&server).await).await;
    drop(held);
    telecom_tests::until("there is room", async || is_served(&server).await).await;
}

#[tokio::test]
async fn an_idle_connection_is_closed_after_a_timeout() {
    let server = serve(GrpcConfig {
        idle: Duration::from_millis(300),
        ..config()
    })
    .await;
    let silent = TcpStream::connect(server.address).await.unwrap();
    assert!(closed(silent).await < Duration::from_secs(3));
    let mut begun = TcpStream::connect(server.address).await.unwrap();
    begun.write_all(PREFACE).await.unwrap();
    assert!(closed(begun).await < Duration::from_secs(3));
}

#[tokio::test]
async fn a_connection_allows_128_concurrent_calls() {
    let server = serve(config()).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(PREFACE).await.unwrap();
    let mut header = [0; 9];
    stream.read_exact(&mut header).await.unwrap();
    assert_eq!(header[3], 4, "the server's settings come first");
    let mut settings = vec![0; usize::from(u16::from_be_bytes([header[1], header[2]]))];
    stream.read_exact(&mut settings).await.unwrap();
    let streams = settings
        .chunks(6)
        .find(|setting| setting[..2] == [0, 3])
        .map(|setting| setting[2..].to_vec());
    assert_eq!(streams, Some(128_u32.to_be_bytes().to_vec()));
}
