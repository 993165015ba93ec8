//! Reports are recorded once, whatever their deliveries.

use lambda_runtime::Context as Invocation;
use serde_json::json;
use shared::lambda::sqs;
use sqlx::PgPool;
use telecom_tests::report::{report, report_of, texts, with};
use telecom_tests::{NOW, World, at, event_of, message_id, unreachable_pool, user};

const RAW_BYTES: &str = "select coalesce(sum(upload_bytes + download_bytes), 0)::bigint from telecom.traffic_usage";
const REPORTS: &str = "select count(*) from telecom.usage_report";

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_report_delivered_three_times_twice_at_once_counts_once(pool: PgPool) {
    let world = World::new(pool).await;
    let body = texts(&[report(1, &[(user(1), 10, 20)])]);
    let (first, second) = tokio::join!(world.report(&body), world.report(&body));
    let third = world.report(&body).await;
    assert_eq!((first.len(), second.len(), third.len()), (0, 0, 0));
    assert_eq!((world.number(RAW_BYTES).await, world.number(REPORTS).await), (30, 1));
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_report_twice_in_one_batch_counts_once(pool: PgPool) {
    let world = World::new(pool).await;
    let body = report(1, &[(user(1), 10, 20)]).to_string();
    assert!(world.report(&[body.clone(), body]).await.is_empty());
    assert_eq!(world.number(RAW_BYTES).await, 30);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn an_id_with_another_payload_is_refused_and_the_first_stands(pool: PgPool) {
    let world = World::new(pool).await;
    let (first, other) = (report(1, &[(user(1), 10, 20)]), report(1, &[(user(1), 10, 21)]));
    assert!(world.report(&texts(std::slice::from_ref(&first))).await.is_empty());
    assert_eq!(world.report(&texts(&[other.clone(), first.clone()])).await, [message_id(0)]);
    assert_eq!(world.report(&texts(&[first, other])).await, [message_id(1)]);
    assert_eq!(world.number(RAW_BYTES).await, 30);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn within_one_batch_the_first_of_two_payloads_under_an_id_stands(pool: PgPool) {
    let world = World::new(pool).await;
    let bodies = texts(&[report(1, &[(user(1), 1, 0)]), report(1, &[(user(1), 2, 0)])]);
    assert_eq!(world.report(&bodies).await, [message_id(1)]);
    assert_eq!(world.number(RAW_BYTES).await, 1);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn the_same_payload_written_differently_is_the_same_payload(pool: PgPool) {
    let world = World::new(pool).await;
    let compact = report(1, &[(user(1), 10, 20)]);
    let pretty = serde_json::to_string_pretty(&with(compact.clone(), "/metrics", json!({ "load1": 0.5 }))).unwrap();
    assert!(world.report(&[compact.to_string(), pretty]).await.is_empty());
    assert_eq!(world.number(RAW_BYTES).await, 30);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_client_of_another_server_is_refused(pool: PgPool) {
    let world = World::new(pool).await;
    world.server(2, &[(21, "1")]).await;
    let body = with(report(1, &[(user(1), 10, 20)]), "/usage/0/node_client_id", json!(21));
    assert_eq!(world.report(&texts(&[body])).await, [message_id(0)]);
    assert_eq!(world.number(REPORTS).await, 0);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_heartbeat_moves_the_last_online_time_forward_only(pool: PgPool) {
    let world = World::new(pool).await;
    let online = "select extract(epoch from last_online_at)::bigint from telecom.node_server_heartbeat";
    world.report(&texts(&[report(1, &[])])).await;
    world.report(&texts(&[report_of(2, 1, at("2026-03-10T09:00:00Z"), &[])])).await;
    assert_eq!(world.number(online).await, at(NOW).timestamp());
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_collector_whose_clock_is_ahead_puts_no_server_into_the_future(pool: PgPool) {
    let world = World::new(pool).await;
    let online = "select extract(epoch from last_online_at)::bigint from telecom.node_server_heartbeat";
    assert!(world.report(&texts(&[report_of(1, 1, at("2026-03-10T10:34:59Z"), &[])])).await.is_empty());
    assert_eq!(world.number(online).await, at(NOW).timestamp());
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn the_newest_metrics_stand_and_a_report_without_any_keeps_them(pool: PgPool) {
    let world = World::new(pool).await;
    let metrics = |id, end: &str, users| {
        with(report_of(id, 1, at(end), &[]), "/metrics", json!({ "online_users": users, "cpu_percent": 12.5 }))
    };
    let users = "select online_users from telecom.node_server_heartbeat";
    world.report(&texts(&[metrics(1, "2026-03-10T10:20:00Z", 7), metrics(2, "2026-03-10T10:10:00Z", 5)])).await;
    assert_eq!(world.number(users).await, 7);
    world.report(&texts(&[metrics(3, "2026-03-10T10:15:00Z", 6), report(4, &[])])).await;
    assert_eq!(world.number(users).await, 7);
    world.report(&texts(&[metrics(5, NOW, 9)])).await;
    assert_eq!(world.number(users).await, 9);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn an_outage_of_the_database_fails_every_message_and_loses_none(pool: PgPool) {
    let world = World::new(pool).await;
    let broken = World { writer: unreachable_pool(), ..world.clone() };
    let bodies = texts(&[report(1, &[(user(1), 1, 2)]), report(2, &[(user(1), 3, 4)])]);
    let event = serde_json::from_value(event_of(&bodies)).unwrap();
    let outcome = sqs::handle(&broken.ingest(), event, &Invocation::default()).await;
    // The invocation fails as a whole: Lambda counts an error, and all its messages come again.
    assert_eq!(outcome.unwrap_err().code(), "unavailable");
    assert!(world.report(&bodies).await.is_empty());
    assert_eq!(world.number(RAW_BYTES).await, 10);
}
