//! The metrics of servers are summed up per hour, each once.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use sqlx::PgPool;
use telecom_tests::node::{Nodes, V1, post};
use telecom_tests::push::push;
use telecom_tests::report::{report_of, texts, with};
use telecom_tests::{NOW, World, at, user};

/// A report of a server that was measured at a time.
fn measured(id: u128, server: i32, time: &str, metrics: Value) -> Value {
    let report = report_of(id, server, at(time), &[(user(1), 1, 2)]);
    with(report, "/metrics", metrics)
}

/// Hours as `(server, hour, samples)`, in order.
async fn hours(world: &World) -> Vec<(i32, DateTime<Utc>, i64)> {
    sqlx::query_as(
        "select node_server_id, hour, samples from telecom.node_server_metrics_hourly
         order by 1, 2",
    )
    .fetch_all(&world.pool)
    .await
    .unwrap()
}

/// The row of [`telecom_tests::SERVER`] that begins at `hour`, without its key and without metrics
/// that were not measured.
async fn hour(world: &World, hour: &str) -> Value {
    let row: Value = sqlx::query_scalar(
        "select jsonb_object_agg(key, value) from telecom.node_server_metrics_hourly h,
            jsonb_each(jsonb_strip_nulls(to_jsonb(h) - '{node_server_id,hour}'::text[]))
         where node_server_id = 1 and hour = $1::timestamptz and value <> '0'",
    )
    .bind(hour)
    .fetch_one(&world.pool)
    .await
    .unwrap();
    row
}

const TEN: &str = "2026-03-10T10:00:00Z";

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn metrics_of_a_delivery_are_summed_up_per_server_and_hour(pool: PgPool) {
    let world = World::new(pool).await;
    world.server(2, &[]).await;
    let all = json!({ "cpu_percent": 10.5, "memory_used": 100, "memory_total": 800,
        "disk_used": 7, "disk_total": 9, "load1": 0.25, "online_users": 3, "uptime_seconds": 99,
        "upload_rate": 1_000, "download_rate": 5_000 });
    let some = json!({ "cpu_percent": 30.0, "memory_used": 50, "memory_total": 700,
        "online_users": 5 });
    let bodies = texts(&[
        measured(1, 1, "2026-03-10T10:29:00Z", some),
        measured(2, 1, "2026-03-10T10:00:00Z", all),
        measured(3, 1, "2026-03-10T09:59:59Z", json!({ "load1": 2 })),
        with(
            report_of(4, 2, at("2026-03-10T10:30:00Z"), &[]),
            "/metrics",
            json!({ "cpu_percent": 0 }),
        ),
        // Neither has a value.
        measured(5, 1, "2026-03-10T10:10:00Z", json!({})),
        report_of(6, 1, at("2026-03-10T10:11:00Z"), &[]),
    ]);
    world.assert_reports_accepted(&bodies).await;
    let (nine, ten) = (at("2026-03-10T09:00:00Z"), at(TEN));
    assert_eq!(
        hours(&world).await,
        [(1, nine, 1), (1, ten, 2), (2, ten, 1)]
    );
    assert_eq!(
        hour(&world, TEN).await,
        json!({ "samples": 2, "cpu_percent_samples": 2, "cpu_percent_sum": 40.5,
            "cpu_percent_max": 30, "memory_used_samples": 2, "memory_used_bytes_sum": 150,
            "memory_used_bytes_max": 100, "memory_total_bytes_max": 800, "disk_used_samples": 1,
            "disk_used_bytes_sum": 7, "disk_used_bytes_max": 7, "disk_total_bytes_max": 9,
            "load1_samples": 1, "load1_sum": 0.25, "load1_max": 0.25, "online_users_samples": 2,
            "online_users_sum": 8, "online_users_max": 5, "upload_samples": 1,
            "upload_bytes_per_second_sum": 1000, "upload_bytes_per_second_max": 1000,
            "download_samples": 1, "download_bytes_per_second_sum": 5000,
            "download_bytes_per_second_max": 5000 })
    );
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_repeated_report_adds_its_metrics_once(pool: PgPool) {
    let world = World::new(pool).await;
    let report = |cpu: f64| measured(1, 1, NOW, json!({ "cpu_percent": cpu }));
    // Twice in a delivery, in another delivery, and with newer metrics.
    world
        .assert_reports_accepted(&texts(&[report(10.0), report(10.0)]))
        .await;
    world.assert_reports_accepted(&texts(&[report(10.0)])).await;
    world.assert_reports_accepted(&texts(&[report(90.0)])).await;
    let expected = json!({ "samples": 1, "cpu_percent_samples": 1, "cpu_percent_sum": 10,
        "cpu_percent_max": 10 });
    assert_eq!(hour(&world, TEN).await, expected);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn late_metrics_are_added_to_the_hour_of_their_measurement(pool: PgPool) {
    let world = World::new(pool).await;
    world.clock.set(at("2026-03-10T10:58:00Z"));
    let cpu = |cpu: i64| json!({ "cpu_percent": cpu });
    world
        .assert_reports_accepted(&texts(&[
            measured(1, 1, "2026-03-10T10:57:00Z", cpu(1)),
            // The clock of the server is ahead.
            measured(2, 1, "2026-03-10T11:01:00Z", cpu(2)),
        ]))
        .await;
    world.clock.set(at("2026-03-11T00:00:00Z"));
    world
        .assert_reports_accepted(&texts(&[measured(3, 1, "2026-03-10T10:03:00Z", cpu(30))]))
        .await;
    assert_eq!(hours(&world).await, [(1, at(TEN), 3)]);
    let expected = json!({ "samples": 3, "cpu_percent_samples": 3, "cpu_percent_sum": 33,
        "cpu_percent_max": 30 });
    assert_eq!(hour(&world, TEN).await, expected);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn concurrent_deliveries_add_up_without_deadlocks(pool: PgPool) {
    const SERVERS: i32 = 20;
    let world = World::new(pool).await;
    for server in 2..=SERVERS {
        world.server(server, &[]).await;
    }
    let delivery = |n: u128| {
        let mut reports: Vec<Value> = (1..=SERVERS)
            .map(|server| {
                let id = n * 1_000 + u128::try_from(server).unwrap();
                let report = report_of(id, server, at(NOW), &[]);
                with(report, "/metrics", json!({ "online_users": n }))
            })
            .collect();
        reports.rotate_left(usize::try_from(n).unwrap() % 7);
        texts(&reports)
    };
    let deliveries: Vec<Vec<String>> = (1..=8).map(delivery).collect();
    let all = deliveries.iter().map(|bodies| world.report(bodies));
    let failed = futures::future::join_all(all).await;
    assert!(failed.iter().all(Vec::is_empty), "{failed:?}");
    let wrong = "select count(*) from telecom.node_server_metrics_hourly
        where (samples, online_users_samples, online_users_sum, online_users_max)
            is distinct from (8, 8, 36, 8)";
    assert_eq!(world.number(wrong).await, 0);
    assert_eq!(hours(&world).await.len(), 20);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_push_and_its_repeat_add_their_metrics_once(pool: PgPool) {
    let world = World::new(pool).await;
    world.number_users(1).await;
    let pushed = |id, at| {
        push(id, at, &[(1, 2, 3)]).with("/content/push/metrics", json!({ "cpu_percent": 10 }))
    };
    let first = pushed(1, 0.0);
    // The software repeats the push after ten seconds, and the queue delivers the first one again.
    let pushes = [first.clone(), pushed(2, 10.0), first];
    assert_eq!(world.push(&pushes).await, [""; 0]);
    assert_eq!(hours(&world).await, [(1, at(TEN), 1)]);
    assert_eq!(world.push(&[pushed(3, 70.0)]).await, [""; 0]);
    assert_eq!(hours(&world).await, [(1, at(TEN), 2)]);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn status_messages_of_nodes_add_their_metrics(pool: PgPool) {
    let (nodes, query) = Nodes::uniproxy(pool).await;
    for (minutes, body) in [
        (0, r#"{"cpu":12.5,"mem":{"total":8,"used":4}}"#),
        (1, r#"{"cpu":37.5}"#),
        // No value that makes sense.
        (2, r#"{"cpu":"much"}"#),
    ] {
        let now = at(NOW) + TimeDelta::minutes(minutes);
        nodes.world().clock.set(now);
        let (status, _) = nodes
            .text(post(&format!("{V1}/status"), &query, body))
            .await;
        assert_eq!(status, 200);
    }
    let row = hour(nodes.world(), TEN).await;
    let expected = json!({ "samples": 2, "cpu_percent_samples": 2, "cpu_percent_sum": 50,
        "cpu_percent_max": 37.5, "memory_used_samples": 1, "memory_used_bytes_sum": 4,
        "memory_used_bytes_max": 4, "memory_total_bytes_max": 8 });
    assert_eq!(row, expected);
}
