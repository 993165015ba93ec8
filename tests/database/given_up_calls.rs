//! Calls are cancelled at arbitrary points: during `BEGIN`, a statement or `COMMIT`. The next
//! caller must not get a connection that is in a transaction or keeps a setting of the cancelled
//! call.

use std::time::Duration;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::json;
use shared::config::{DatabaseConfig, DatabaseRole, TelecomConfig};
use shared::deadline;
use shared::services::Processor;
use shared::services::analysis::{AnalysisService, ListUserNodes};
use shared::services::change::Requested;
use shared::services::manage::{ManageService, SetNodeServerMaintenance};
use sqlx::PgPool;
use sqlx::postgres::PgConnectOptions;
use telecom_tests::{SERVER, World, actor, deliver, until, user};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use uuid::Uuid;

/// Delay of each response of the database. It is long enough to cancel a call while the call waits
/// for any of its responses.
const LATENCY: Duration = Duration::from_millis(2);
/// Longer than any of the calls takes on an open connection.
const LONGEST_MICROS: u64 = 80_000;
const ROUNDS: usize = 80;

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn connection_of_a_cancelled_call_does_not_stay_in_a_transaction(pool: PgPool) {
    let mut world = World::new(pool).await;
    let package = world.package(1 << 40, 30).await;
    world.active_item(user(1), package).await;
    let slow = slow_connections(&world.pool).await;
    world.reader = pool_of_one(&slow, DatabaseRole::Reader);
    world.writer = pool_of_one(&slow, DatabaseRole::Writer);
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let mut completed = 0;
    for round in 0..ROUNDS {
        // A cancelled call may have closed its connection. Reconnect first, so that the calls and
        // not the connection attempts are interrupted.
        let _ = tokio::join!(world.reader.acquire(), world.writer.acquire());
        let mut after = || {
            Some(Duration::from_micros(
                random.random_range(0..LONGEST_MICROS),
            ))
        };
        let read = deadline::within(after(), list_nodes(&world));
        let write = deadline::within(after(), write(&world, round));
        let (read, write) = tokio::join!(read, write);
        completed += usize::from(read.is_ok()) + usize::from(write.is_ok());
        until("transactions of cancelled calls end", async || {
            open_transactions(&world).await == 0
        })
        .await;
    }
    assert!(
        (ROUNDS / 10..ROUNDS * 19 / 10).contains(&completed),
        "{completed} calls completed, but completed and cancelled calls must both be common"
    );
    for pool in [&world.reader, &world.writer] {
        let state: (String, bool) = sqlx::query_as(
            "select current_setting('statement_timeout'), \
             clock_timestamp() - now() < interval '5 seconds'",
        )
        .fetch_one(pool)
        .await
        .unwrap();
        // In a transaction that began earlier, `now()` would be older.
        assert_eq!(state, ("0".to_owned(), true));
    }
}

async fn open_transactions(world: &World) -> i64 {
    world
        .number(
            "select count(*) from pg_stat_activity
             where datname = current_database() and xact_start is not null
             and pid <> pg_backend_pid()",
        )
        .await
}

fn pool_of_one(slow: &PgConnectOptions, role: DatabaseRole) -> PgPool {
    shared::db::connect(&DatabaseConfig {
        role: Some(role),
        ..DatabaseConfig::new(slow.clone(), 1)
    })
}

/// Options to connect to the database of `pool` through a proxy that delays each response by
/// [`LATENCY`].
async fn slow_connections(pool: &PgPool) -> PgConnectOptions {
    let options = pool.connect_options().as_ref().clone();
    let target = (options.get_host().to_owned(), options.get_port());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let server = TcpStream::connect(target.clone()).await.unwrap();
            client
                .set_nodelay(true)
                .and(server.set_nodelay(true))
                .unwrap();
            let ((mut requests, mut responses), (mut results, mut statements)) =
                (client.into_split(), server.into_split());
            tokio::spawn(async move { tokio::io::copy(&mut requests, &mut statements).await });
            tokio::spawn(async move {
                let mut bytes = [0; 8_192];
                while let Ok(length @ 1..) = results.read(&mut bytes).await {
                    tokio::time::sleep(LATENCY).await;
                    if responses.write_all(&bytes[..length]).await.is_err() {
                        break;
                    }
                }
            });
        }
    });
    options.host("127.0.0.1").port(port)
}

async fn write(world: &World, round: usize) -> Result<(), shared::error::Error> {
    match round % 4 {
        0 => set_maintenance(world, true).await,
        2 => set_maintenance(world, false).await,
        _ => apply_event(world).await,
    }
}

async fn list_nodes(world: &World) -> Result<(), shared::error::Error> {
    let service = AnalysisService::new(world.reader.clone(), world.context());
    service
        .process(ListUserNodes {
            user_id: user(1),
            limit: None,
            offset: None,
        })
        .await
        .map(drop)
}

async fn set_maintenance(world: &World, maintenance: bool) -> Result<(), shared::error::Error> {
    let service = ManageService::new(
        world.writer.clone(),
        world.context(),
        TelecomConfig::default(),
    );
    let reason = "a test".to_owned();
    let input = Requested::by(
        actor(0),
        SetNodeServerMaintenance {
            id: SERVER,
            maintenance,
            reason,
        },
    );
    service.process(input).await.map(drop)
}

async fn apply_event(world: &World) -> Result<(), shared::error::Error> {
    let event = json!({
        "server_id": SERVER, "user": user(1), "billed_download": 1, "billed_upload": 1,
            "time": 1_773_138_600,
        "event_id": Uuid::new_v4(),
    });
    deliver(&world.hook(), &[event.to_string()]).await;
    Ok(())
}
