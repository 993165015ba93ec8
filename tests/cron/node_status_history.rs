//! Hourly status snapshots, the view over them, and how the API returns them.

use chrono::TimeDelta;
use serde_json::{Value, json};
use shared::db::node_status_history::refresh_view;
use shared::services::Processor;
use shared::services::cron::Run;
use shared::services::cron::record_node_status_history::{RecordNodeStatusHistoryJob, Recorded};
use shared::services::cron::refresh_node_status_view::{RefreshNodeStatusViewJob, ViewRefreshed};
use sqlx::{PgConnection, PgPool};
use telecom_tests::api::Api;
use telecom_tests::token::claims;
use telecom_tests::{GIB, NOW, World, at, user};

/// Runs the recording job one minute after the last refresh of the statuses.
async fn record(world: &World) -> Recorded {
    set_last_status_refresh(world, TimeDelta::minutes(1)).await;
    world
        .cron()
        .process(RecordNodeStatusHistoryJob(Run::default()))
        .await
        .unwrap()
}

async fn set_last_status_refresh(world: &World, ago: TimeDelta) {
    let ran_at = world.context().now() - ago;
    sqlx::query("update telecom.node_status_watch set ran_at = $1")
        .bind(ran_at)
        .execute(&world.pool)
        .await
        .unwrap();
}

async fn refresh(world: &World) -> ViewRefreshed {
    world
        .cron()
        .process(RefreshNodeStatusViewJob(Run::default()))
        .await
        .unwrap()
}

/// What the API returns to user 1 for `query`, with a token that is valid by the world's clock.
async fn shown(world: &World, query: &str) -> Value {
    let api = Api::over_http(world.clone());
    let mut claims = claims(user(1), "");
    claims["exp"] = json!(world.context().now().timestamp() + 60);
    let (status, response) = api
        .get(
            "/v1/node-status-history",
            query,
            Some(&api.issuer.sign(&claims)),
        )
        .await;
    assert_eq!(status, 200, "{response}");
    response
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn each_hour_is_recorded_once_and_a_missed_hour_stays_missing(pool: PgPool) {
    let world = World::new(pool).await;
    world.server(2, &[(21, "1"), (22, "1")]).await;
    world
        .sql("update telecom.node_client set access_groups = '{1}'")
        .await;
    world
        .sql("update telecom.node_server set status = 'online' where id = 2")
        .await;
    // Server 1 has sent a heartbeat and is offline.
    world
        .sql(
            "insert into telecom.node_server_heartbeat (node_server_id, last_online_at) \
        values (1, now())",
        )
        .await;
    let package = world.package(GIB, 30).await;
    world.active_item(user(1), package).await;
    assert_eq!(record(&world).await.servers, 2);
    world
        .sql("update telecom.node_server set status = 'maintenance'")
        .await;
    assert_eq!(
        record(&world).await.servers,
        0,
        "a repeat within the same hour adds nothing"
    );
    // The hour from 11:00 is missed.
    world.clock.set(at(NOW) + TimeDelta::hours(2));
    assert_eq!(record(&world).await.servers, 2);
    refresh(&world).await;
    let hours = shown(
        &world,
        "start=2026-03-10T10:00:00Z&end=2026-03-10T13:00:00Z",
    )
    .await["hours"]
        .clone();
    let hour = |start: &str, online, offline, maintenance| {
        json!({ "bucket_start": start,
        "online_nodes": online, "offline_nodes": offline, "maintenance_nodes": maintenance })
    };
    assert_eq!(
        hours,
        json!([
            hour("2026-03-10T10:00:00Z", 2, 1, 0),
            hour("2026-03-10T12:00:00Z", 0, 0, 3)
        ])
    );
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn no_hour_is_recorded_during_a_collection_outage(pool: PgPool) {
    let world = World::new(pool).await;
    world
        .sql("insert into telecom.collection_outage (since) values (now())")
        .await;
    assert_eq!(
        record(&world).await,
        Recorded {
            servers: 0,
            collection_stopped: true
        }
    );
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn no_hour_is_recorded_if_the_last_status_refresh_is_too_old(pool: PgPool) {
    let world = World::new(pool).await;
    world
        .sql("update telecom.node_server set status = 'online'")
        .await;
    let soon = Run::within(Some(std::time::Duration::from_secs(1)));
    let job = || async { world.cron().process(RecordNodeStatusHistoryJob(soon)).await };
    assert_eq!(
        job().await.unwrap_err().code(),
        "unavailable",
        "Lambda retries the job"
    );
    set_last_status_refresh(&world, TimeDelta::seconds(301)).await;
    assert_eq!(job().await.unwrap_err().code(), "unavailable");
    set_last_status_refresh(&world, TimeDelta::seconds(300)).await;
    assert_eq!(job().await.unwrap().servers, 1);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn sealed_and_open_hours_are_read_together_and_the_view_holds_open_ones(pool: PgPool) {
    let world = World::new(pool).await;
    world
        .sql("update telecom.node_client set access_groups = '{1}'")
        .await;
    world
        .sql("update telecom.node_server set status = 'online'")
        .await;
    let package = world.package(GIB, 60).await;
    world.active_item(user(1), package).await;
    for hour in 0..100 {
        world.clock.set(at(NOW) + TimeDelta::hours(hour));
        assert_eq!(record(&world).await.servers, 1);
        if hour % 7 == 0 {
            refresh(&world).await;
        }
    }
    refresh(&world).await;
    let hours = shown(
        &world,
        "start=2026-03-10T10:00:00Z&end=2026-03-14T14:00:00Z",
    )
    .await["hours"]
        .clone();
    assert_eq!(hours.as_array().unwrap().len(), 100);
    assert_eq!(
        world
            .number("select count(*) from telecom.node_status_hourly")
            .await,
        100
    );
    assert_eq!(
        world
            .number("select count(*) from telecom.node_status_hourly_mv")
            .await,
        49
    );
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn reader_and_view_refresh_do_not_block_each_other(pool: PgPool) {
    let world = World::new(pool).await;
    world
        .sql("update telecom.node_server set status = 'online'")
        .await;
    record(&world).await;
    refresh(&world).await;
    let read = async |connection: &mut PgConnection| -> i64 {
        sqlx::raw_sql("set lock_timeout = '1s'")
            .execute(&mut *connection)
            .await
            .unwrap();
        sqlx::query_scalar("select count(*) from telecom.node_status_hourly")
            .fetch_one(connection)
            .await
            .unwrap()
    };
    // The transaction of the reader stays open and keeps its locks while the view is refreshed.
    let mut reader = world.pool.begin().await.unwrap();
    assert_eq!(read(&mut reader).await, 1);
    world.clock.set(at(NOW) + TimeDelta::hours(1));
    record(&world).await;
    refresh(&world).await;
    reader.commit().await.unwrap();
    // The refresh has not committed yet when the next reader reads.
    let mut refresher = world.pool.begin().await.unwrap();
    refresh_view(&mut refresher).await.unwrap();
    assert_eq!(read(&mut *world.pool.acquire().await.unwrap()).await, 2);
    refresher.commit().await.unwrap();
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn no_hour_is_recorded_for_a_server_without_a_heartbeat(pool: PgPool) {
    let world = World::new(pool).await;
    assert_eq!(record(&world).await.servers, 0);
    world
        .sql("update telecom.node_server set status = 'maintenance'")
        .await;
    assert_eq!(
        record(&world).await.servers,
        1,
        "a status that an administrator set is recorded"
    );
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn time_before_the_retention_period_is_unknown(pool: PgPool) {
    let world = World::new(pool).await;
    world
        .sql(
            "insert into telecom.node_status_transition (node_server_id, to_status, since, \
        detected_at) values (1, 'online', '2020-01-01Z', now())",
        )
        .await;
    refresh(&world).await;
    let api = Api::over_http(world);
    // The retention period of 400 days begins at 2025-02-03T10:30.
    let query = "start=2025-02-03T09:30:00Z&end=2025-02-03T12:30:00Z";
    let (_, response) = api
        .get(
            "/v1/admin/node-servers/1/availability",
            query,
            Some(&api.issuer.admin()),
        )
        .await;
    assert_eq!(
        [&response["online_seconds"], &response["unknown_seconds"]],
        [&json!(7_200), &json!(3_600)],
        "{response}"
    );
}
