//! The metrics of the gRPC server, read over HTTP from real servers.

#![expect(clippy::float_cmp, reason = "counts are whole numbers")]

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use chrono::TimeDelta;
use serde_json::json;
use sqlx::PgPool;
use telecom_grpc::GrpcConfig;
use telecom_tests::grpc::{GrpcServer, call, config};
use telecom_tests::metrics::{Sample, request, scrape, value};
use telecom_tests::report::{report_of, texts};
use telecom_tests::token::Issuer;
use telecom_tests::{GIB, NOW, SERVER, World, at, until, user};
use tokio::net::TcpStream;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

const SERVERS: &str = "telecom.v1.NodeServerManage/ListNodeServers";
const CALLS: &str = "telecom_grpc_calls_total";
const READS: &str = "telecom_database_reads_total";
const BYTES: &str = "telecom_server_raw_bytes_total";

/// Number of statements that wait for a lock.
const WAITING: &str = "select count(*) from pg_stat_activity
    where datname = current_database() and wait_event_type = 'Lock'";

/// Starts a server with metrics, and returns their address.
pub(super) async fn serve(world: &World, issuer: &Issuer) -> (GrpcServer, SocketAddr) {
    let metrics = Some(([127, 0, 0, 1], 0).into());
    let config = GrpcConfig {
        metrics,
        ..config()
    };
    let server = GrpcServer::start(world, issuer, config).await;
    let address = server.metrics.unwrap();
    (server, address)
}

async fn world(pool: PgPool) -> (World, Issuer, GrpcServer, SocketAddr) {
    let (world, issuer) = (World::new(pool).await, Issuer::default());
    let (server, address) = serve(&world, &issuer).await;
    (world, issuer, server, address)
}

fn calls(samples: &[Sample], operation: &str, code: &str) -> f64 {
    value(samples, CALLS, &[("operation", operation), ("code", code)]).unwrap_or(0.0)
}

fn reads(samples: &[Sample], outcome: &str) -> f64 {
    value(samples, READS, &[("outcome", outcome)]).unwrap()
}

/// Moves the clock past the time for which values are kept.
fn advance(world: &World) {
    let now = world.context().now();
    world.clock.set(now + TimeDelta::seconds(30));
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn calls_are_counted_by_operation_and_status(pool: PgPool) {
    let (_world, issuer, server, address) = world(pool).await;
    let channel = server.connect().await;
    let (admin, user) = (issuer.admin(), issuer.user(user(1)));
    for token in [Some(&admin), Some(&admin), Some(&user), None] {
        let token = token.map(String::as_str);
        let _ = call(&channel, SERVERS, json!({}), token).await;
    }
    let samples = scrape(address).await;
    for (code, expected) in [
        ("OK", 2.0),
        ("PERMISSION_DENIED", 1.0),
        ("UNAUTHENTICATED", 1.0),
    ] {
        assert_eq!(calls(&samples, "ListNodeServers", code), expected, "{code}");
    }
    let named = [("operation", "ListNodeServers")];
    let duration = "telecom_grpc_call_duration_seconds";
    let infinite = [("operation", "ListNodeServers"), ("le", "+Inf")];
    for (name, labels) in [("_count", &named[..]), ("_bucket", &infinite)] {
        assert_eq!(
            value(&samples, &format!("{duration}{name}"), labels),
            Some(4.0)
        );
    }
    assert!(value(&samples, &format!("{duration}_sum"), &named).unwrap() > 0.0);
    assert_eq!(
        value(&samples, "telecom_grpc_calls_in_progress", &[]),
        Some(0.0)
    );
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_call_that_its_client_gives_up_is_cancelled(pool: PgPool) {
    let (world, issuer, server, address) = world(pool).await;
    let mut lock = world.pool.begin().await.unwrap();
    sqlx::query("lock table telecom.node_server in access exclusive mode")
        .execute(&mut *lock)
        .await
        .unwrap();
    let (channel, token) = (server.connect().await, issuer.admin());
    let calling =
        tokio::spawn(async move { call(&channel, SERVERS, json!({}), Some(&token)).await });
    until("the call is in progress", async || {
        world.number(WAITING).await > 0
    })
    .await;
    calling.abort();
    // The lock is held until the call has ended. Otherwise the call could still succeed.
    until("the statement is cancelled", async || {
        world.number(WAITING).await == 0
    })
    .await;
    lock.rollback().await.unwrap();
    until("the call has ended", async || {
        calls(&scrape(address).await, "ListNodeServers", "CANCELLED") == 1.0
    })
    .await;
}

#[tokio::test]
async fn a_stream_is_counted_at_its_end() {
    let (server, address) = serve(&World::offline(), &Issuer::default()).await;
    let channel = server.connect().await;
    let mut client = HealthClient::new(channel);
    let watch = client.watch(HealthCheckRequest::default()).await;
    let mut changes = watch.unwrap().into_inner();
    assert_eq!(changes.message().await.unwrap().unwrap().status, 1);
    let samples = scrape(address).await;
    assert_eq!(
        value(&samples, "telecom_grpc_calls_in_progress", &[]),
        Some(1.0)
    );
    assert_eq!(value(&samples, CALLS, &[("operation", "Watch")]), None);
    drop(changes);
    until("the stream has ended", async || {
        calls(&scrape(address).await, "Watch", "CANCELLED") == 1.0
    })
    .await;
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn the_numbers_of_the_fleet_are_those_of_the_database(pool: PgPool) {
    let (world, _, _server, address) = world(pool).await;
    let package = world.package(GIB, 30).await;
    for n in 1..=3 {
        world.active_item(user(n), package).await;
    }
    for n in 1..=2 {
        world.waiting_item(user(n), package).await;
    }
    world
        .sql(
            "insert into telecom.node_server (id, name, compatibility, status, archived_at)
                select n, 's', 'ssp', s::telecom.node_server_status, a::timestamptz from (values
                    (2, 'online', null), (3, 'online', null), (4, 'maintenance', null),
                    (5, 'online', 'now')) s (n, s, a)",
        )
        .await;
    world
        .sql(
            "insert into telecom.online_address
                select number, 11, decode(md5(a::text), 'hex'), timestamptz '2026-03-10 10:29Z'
                from telecom.node_user, generate_series(1, 2) a where number <= 2",
        )
        .await;
    let report = report_of(1, SERVER, at(NOW), &[(user(1), 5, 7)]);
    world.assert_reports_accepted(&texts(&[report])).await;
    world.clock.set(at(NOW) + TimeDelta::seconds(40));
    let samples = scrape(address).await;
    for (name, state, expected) in [
        ("telecom_servers", "online", 2.0),
        ("telecom_servers", "offline", 1.0),
        ("telecom_servers", "maintenance", 1.0),
        ("telecom_package_items", "active", 3.0),
        ("telecom_package_items", "in_queue", 2.0),
        ("telecom_package_items", "consumed", 0.0),
        ("telecom_package_items", "cancelled", 0.0),
        ("telecom_users", "active", 3.0),
        ("telecom_users", "online", 2.0),
    ] {
        assert_eq!(
            value(&samples, name, &[("state", state)]),
            Some(expected),
            "{name} {state}"
        );
    }
    assert_eq!(
        value(&samples, "telecom_billing_lag_seconds", &[]),
        Some(40.0)
    );
    assert_eq!(value(&samples, "telecom_database_read_up", &[]), Some(1.0));
    assert!(value(&samples, "telecom_database_pool_max_connections", &[]).unwrap() >= 1.0);
    let bytes = samples.iter().filter(|sample| sample.name == BYTES).count();
    assert_eq!(bytes, 2 * 4, "one archived server has no counters");
}

/// Reports usage of the current hour and charges it.
async fn charge(world: &World, id: u128, bytes: i64) {
    let report = report_of(id, SERVER, at(NOW), &[(user(1), bytes, 2 * bytes)]);
    world.assert_reports_accepted(&texts(&[report])).await;
    world.deliver_all().await;
}

/// Uploaded and downloaded bytes of [`SERVER`].
async fn bytes(address: SocketAddr) -> [f64; 2] {
    let samples = scrape(address).await;
    let of = |direction| {
        let labels = [
            ("server_id", "1"),
            ("server", "s1"),
            ("direction", direction),
        ];
        value(&samples, BYTES, &labels).unwrap()
    };
    [of("upload"), of("download")]
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn bytes_of_a_server_are_counted_from_the_first_scrape_on(pool: PgPool) {
    let (world, issuer, _server, address) = world(pool).await;
    let package = world.package(GIB, 30).await;
    world.active_item(user(1), package).await;
    charge(&world, 1, 1_000).await;
    assert_eq!(bytes(address).await, [0.0, 0.0]);
    charge(&world, 2, 100).await;
    advance(&world);
    assert_eq!(bytes(address).await, [100.0, 200.0]);
    // The same usage is then in another table.
    world.summarize().await;
    advance(&world);
    assert_eq!(bytes(address).await, [100.0, 200.0]);
    let (_other, another) = serve(&world, &issuer).await;
    assert_eq!(bytes(another).await, [0.0, 0.0]);
    charge(&world, 3, 7).await;
    advance(&world);
    assert_eq!(bytes(address).await, [107.0, 214.0]);
    assert_eq!(bytes(another).await, [7.0, 14.0]);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn the_database_is_read_at_most_every_30_seconds(pool: PgPool) {
    let (world, _, _server, address) = world(pool).await;
    let scrapes = (0..20).map(|_| tokio::spawn(scrape(address)));
    for scrape in scrapes.collect::<Vec<_>>() {
        let samples = scrape.await.unwrap();
        let servers = value(&samples, "telecom_servers", &[("state", "offline")]);
        assert_eq!(servers, Some(1.0));
    }
    for (seconds, expected) in [(29, 1.0), (30, 2.0), (59, 2.0), (60, 3.0), (0, 4.0)] {
        world.clock.set(at(NOW) + TimeDelta::seconds(seconds));
        let samples = scrape(address).await;
        assert_eq!(reads(&samples, "success"), expected, "after {seconds} s");
    }
}

#[tokio::test]
async fn metrics_of_the_process_are_served_without_the_database() {
    let (_server, address) = serve(&World::offline(), &Issuer::default()).await;
    let samples = scrape(address).await;
    assert_eq!(value(&samples, "telecom_database_read_up", &[]), Some(0.0));
    assert_eq!(
        (reads(&samples, "success"), reads(&samples, "failure")),
        (0.0, 1.0)
    );
    assert!(value(&samples, "telecom_database_pool_max_connections", &[]).is_some());
    let of_fleet = [
        "telecom_servers",
        "telecom_users",
        "telecom_billing_lag_seconds",
        BYTES,
    ];
    assert!(
        !samples
            .iter()
            .any(|sample| of_fleet.contains(&sample.name.as_str()))
    );
    // A failure is not repeated at once either.
    assert_eq!(reads(&scrape(address).await, "failure"), 1.0);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_read_that_hangs_delays_neither_scrapes_nor_calls(pool: PgPool) {
    let (world, issuer, server, address) = world(pool).await;
    let mut lock = world.pool.begin().await.unwrap();
    sqlx::query("lock table telecom.package_queue_count in access exclusive mode")
        .execute(&mut *lock)
        .await
        .unwrap();
    let (began, scraping) = (Instant::now(), tokio::spawn(scrape(address)));
    until("the read waits", async || world.number(WAITING).await > 0).await;
    let channel = server.connect().await;
    let token = issuer.admin();
    assert!(
        call(&channel, SERVERS, json!({}), Some(&token))
            .await
            .is_ok()
    );
    assert!(!scraping.is_finished(), "the call ended before the scrape");
    let samples = scraping.await.unwrap();
    assert!(
        began.elapsed() < Duration::from_secs(8),
        "{:?}",
        began.elapsed()
    );
    assert_eq!(value(&samples, "telecom_database_read_up", &[]), Some(0.0));
    assert_eq!(calls(&samples, "ListNodeServers", "OK"), 1.0);
    until("no statement waits any more", async || {
        world.number(WAITING).await == 0
    })
    .await;
    lock.rollback().await.unwrap();
    advance(&world);
    let samples = scrape(address).await;
    assert_eq!(value(&samples, "telecom_database_read_up", &[]), Some(1.0));
    assert_eq!(
        value(&samples, "telecom_servers", &[("state", "offline")]),
        Some(1.0)
    );
}

#[tokio::test]
async fn only_get_and_head_of_metrics_are_answered() {
    let (_server, address) = serve(&World::offline(), &Issuer::default()).await;
    for (line, status) in [
        ("GET /metrics", 200),
        ("GET /metrics?x=1", 200),
        ("HEAD /metrics", 200),
        ("POST /metrics", 405),
        ("GET /", 404),
        ("GET /metrics/", 404),
        ("POST /telecom.v1.Telecom/ListNodes", 404),
    ] {
        let response = request(address, line, "").await;
        assert_eq!(response.status, status, "{line}");
        if line.starts_with("HEAD") {
            assert_eq!(response.body, "");
            assert_ne!(response.headers["content-length"], "0");
        }
    }
}

#[tokio::test]
async fn a_client_gets_open_metrics_only_if_it_accepts_it() {
    let (_server, address) = serve(&World::offline(), &Issuer::default()).await;
    let open = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    let text = "text/plain; version=0.0.4; charset=utf-8";
    // The first is what Prometheus sends.
    let accepted = "accept: application/openmetrics-text;version=1.0.0;q=0.5,\
                    text/plain;version=0.0.4;q=0.2,*/*;q=0.1\r\n";
    for (headers, expected) in [(accepted, open), ("accept: */*\r\n", text), ("", text)] {
        let response = request(address, "GET /metrics", headers).await;
        assert_eq!(response.headers["content-type"], expected);
    }
}

#[tokio::test]
async fn metrics_are_served_until_the_server_has_stopped() {
    let metrics = Some(([127, 0, 0, 1], 0).into());
    let drain = Duration::from_millis(500);
    let config = GrpcConfig {
        metrics,
        drain,
        ..config()
    };
    let mut server = GrpcServer::start(&World::offline(), &Issuer::default(), config).await;
    let address = server.metrics.unwrap();
    // A connection that sends nothing must not delay the end.
    let idle = TcpStream::connect(address).await.unwrap();
    scrape(address).await;
    server.stop();
    scrape(address).await;
    let began = Instant::now();
    server.stopped().await;
    assert!(
        began.elapsed() < Duration::from_secs(3),
        "{:?}",
        began.elapsed()
    );
    assert!(TcpStream::connect(address).await.is_err());
    drop(idle);
}
