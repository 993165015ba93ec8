//! Each report is recorded once, however often it is delivered.

use chrono::TimeDelta;
use lambda_runtime::Context as Invocation;
use serde_json::json;
use shared::lambda::sqs;
use sqlx::PgPool;
use telecom_tests::log::Log;
use telecom_tests::report::{report, report_of, texts, with};
use telecom_tests::{NOW, World, at, event_of, message_id, unreachable_pool, until, user};
use uuid::Uuid;

const RAW_BYTES: &str =
    "select coalesce(sum(upload_bytes + download_bytes), 0)::bigint from telecom.traffic_usage";
const REPORTS: &str = "select count(*) from telecom.usage_report";

/// Delivers report bodies and asserts that no message failed.
pub(super) async fn assert_all_accepted(world: &World, bodies: &[String]) {
    assert_eq!(world.report(bodies).await, Vec::<String>::new());
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn report_delivered_concurrently_and_again_counts_once(pool: PgPool) {
    let world = World::new(pool).await;
    let body = texts(&[report(1, &[(user(1), 10, 20)])]);
    let (first, second) = tokio::join!(world.report(&body), world.report(&body));
    let third = world.report(&body).await;
    assert_eq!((first.len(), second.len(), third.len()), (0, 0, 0));
    assert_eq!(
        (world.number(RAW_BYTES).await, world.number(REPORTS).await),
        (30, 1)
    );
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_report_twice_in_one_batch_counts_once(pool: PgPool) {
    let world = World::new(pool).await;
    let body = report(1, &[(user(1), 10, 20)]).to_string();
    assert_all_accepted(&world, &[body.clone(), body]).await;
    assert_eq!(world.number(RAW_BYTES).await, 30);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn report_id_reused_with_another_payload_is_refused(pool: PgPool) {
    let world = World::new(pool).await;
    let (first, other) = (
        report(1, &[(user(1), 10, 20)]),
        report(1, &[(user(1), 10, 21)]),
    );
    assert_all_accepted(&world, &texts(std::slice::from_ref(&first))).await;
    assert_eq!(
        world.report(&texts(&[other.clone(), first.clone()])).await,
        [message_id(0)]
    );
    assert_eq!(world.report(&texts(&[first, other])).await, [message_id(1)]);
    assert_eq!(world.number(RAW_BYTES).await, 30);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn first_of_two_payloads_with_one_id_in_a_batch_is_recorded(pool: PgPool) {
    let world = World::new(pool).await;
    let bodies = texts(&[report(1, &[(user(1), 1, 0)]), report(1, &[(user(1), 2, 0)])]);
    assert_eq!(world.report(&bodies).await, [message_id(1)]);
    assert_eq!(world.number(RAW_BYTES).await, 1);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn payload_comparison_ignores_formatting_and_metrics(pool: PgPool) {
    let world = World::new(pool).await;
    let compact = report(1, &[(user(1), 10, 20)]);
    let pretty =
        serde_json::to_string_pretty(&with(compact.clone(), "/metrics", json!({ "load1": 0.5 })))
            .unwrap();
    assert_all_accepted(&world, &[compact.to_string(), pretty]).await;
    assert_eq!(world.number(RAW_BYTES).await, 30);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn different_servers_may_use_the_same_report_id(pool: PgPool) {
    let world = World::new(pool).await;
    world.server(2, &[]).await;
    world.server(3, &[]).await;
    let of = |server, bytes| report_of(1, server, at(NOW), &[(user(1), bytes, 0)]);
    assert_all_accepted(&world, &texts(&[report_of(1, 2, at(NOW), &[])])).await;
    assert_all_accepted(&world, &texts(&[of(1, 10), of(3, 100)])).await;
    assert_all_accepted(&world, &texts(&[of(3, 100), of(1, 10)])).await;
    assert_eq!(
        world.report(&texts(&[of(1, 11), of(3, 100)])).await,
        [message_id(0)]
    );
    assert_eq!(
        (world.number(RAW_BYTES).await, world.number(REPORTS).await),
        (110, 3)
    );
    world.deliver_all().await;
    assert_eq!(world.usage(user(1)).await[0], 110);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn concurrent_batches_may_hold_one_report_id_of_two_servers(pool: PgPool) {
    let world = World::new(pool).await;
    world.server(2, &[]).await;
    let bodies = texts(&[1, 2].map(|server| report_of(1, server, at(NOW), &[(user(1), 10, 0)])));
    let (first, second) = tokio::join!(world.report(&bodies), world.report(&bodies));
    assert_eq!((first.len(), second.len()), (0, 0));
    assert_eq!(
        (world.number(RAW_BYTES).await, world.number(REPORTS).await),
        (20, 2)
    );
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn previous_and_current_version_do_not_record_a_report_twice(pool: PgPool) {
    let world = World::new(pool).await;
    let body = texts(&[report(1, &[(user(1), 10, 0)])]);
    assert_all_accepted(&world, &body).await;
    // The statement of the previous version, which identified reports by `report_id` alone. It runs
    // for the same report and for a new one.
    let insert = |id: u128| {
        sqlx::query(
            "insert into telecom.usage_report (report_id, node_server_id, period_start,
            period_end, payload_hash, line_count, received_at)
             select $1, 1, period_start, period_end, payload_hash, 0, received_at
             from telecom.usage_report limit 1
             on conflict (report_id) do nothing",
        )
        .bind(Uuid::from_u128(id))
        .execute(&world.pool)
    };
    assert_eq!(
        (
            insert(1).await.unwrap().rows_affected(),
            insert(2).await.unwrap().rows_affected()
        ),
        (0, 1)
    );
    assert_all_accepted(&world, &texts(&[report(2, &[(user(1), 10, 0)])])).await;
    assert_eq!(world.number(RAW_BYTES).await, 10);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn last_online_time_never_moves_backward(pool: PgPool) {
    let world = World::new(pool).await;
    let online =
        "select extract(epoch from last_online_at)::bigint from telecom.node_server_heartbeat";
    world.report(&texts(&[report(1, &[])])).await;
    world
        .report(&texts(&[report_of(2, 1, at("2026-03-10T09:00:00Z"), &[])]))
        .await;
    assert_eq!(world.number(online).await, at(NOW).timestamp());
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn last_online_time_is_never_in_the_future(pool: PgPool) {
    let world = World::new(pool).await;
    let online =
        "select extract(epoch from last_online_at)::bigint from telecom.node_server_heartbeat";
    assert_all_accepted(
        &world,
        &texts(&[report_of(1, 1, at("2026-03-10T10:34:59Z"), &[])]),
    )
    .await;
    assert_eq!(world.number(online).await, at(NOW).timestamp());
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn only_newer_metrics_replace_the_stored_metrics(pool: PgPool) {
    let world = World::new(pool).await;
    let metrics = |id, end: &str, users| {
        with(
            report_of(id, 1, at(end), &[]),
            "/metrics",
            json!({ "online_users": users, "cpu_percent": 12.5 }),
        )
    };
    let users = "select online_users from telecom.node_server_heartbeat";
    world
        .report(&texts(&[
            metrics(1, "2026-03-10T10:20:00Z", 7),
            metrics(2, "2026-03-10T10:10:00Z", 5),
        ]))
        .await;
    assert_eq!(world.number(users).await, 7);
    world
        .report(&texts(&[
            metrics(3, "2026-03-10T10:15:00Z", 6),
            report(4, &[]),
        ]))
        .await;
    assert_eq!(world.number(users).await, 7);
    world.report(&texts(&[metrics(5, NOW, 9)])).await;
    assert_eq!(world.number(users).await, 9);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn database_outage_fails_every_message_and_loses_none(pool: PgPool) {
    let world = World::new(pool).await;
    let broken = World {
        writer: unreachable_pool(),
        ..world.clone()
    };
    let bodies = texts(&[report(1, &[(user(1), 1, 2)]), report(2, &[(user(1), 3, 4)])]);
    let event = serde_json::from_value(event_of(&bodies)).unwrap();
    let outcome = sqs::handle(&broken.ingest(), event, &Invocation::default()).await;
    // The invocation fails as a whole. Lambda counts an error, and SQS redelivers all messages.
    assert_eq!(outcome.unwrap_err().code(), "unavailable");
    assert_all_accepted(&world, &bodies).await;
    assert_eq!(world.number(RAW_BYTES).await, 10);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn concurrently_deleted_server_fails_only_its_own_reports(pool: PgPool) {
    let world = World::new(pool).await;
    world.server(2, &[]).await;
    let bodies = texts(&[1, 2].map(|server| report_of(1, server, at(NOW), &[(user(1), 10, 0)])));
    let mut deletion = world.pool.begin().await.unwrap();
    sqlx::query("delete from telecom.node_server where id = 2")
        .execute(&mut *deletion)
        .await
        .unwrap();
    let waits = "select count(*) from pg_stat_activity where datname = current_database() \
        and wait_event_type = 'Lock'";
    let delivery = {
        let (world, bodies) = (world.clone(), bodies.clone());
        tokio::spawn(async move { world.report(&bodies).await })
    };
    until("the delivery waits for the deletion", async || {
        world.number(waits).await == 1
    })
    .await;
    deletion.commit().await.unwrap();
    assert_eq!(delivery.await.unwrap(), [message_id(1)]);
    assert_eq!(
        (world.number(RAW_BYTES).await, world.number(REPORTS).await),
        (10, 1)
    );
}

const SKEW: &str = "select clock_skew_seconds::bigint from telecom.node_server_heartbeat";

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn clock_skew_is_stored_and_logged_once_per_hour(pool: PgPool) {
    let (world, log) = (World::new(pool).await, Log::begin());
    let mut logged = Vec::new();
    for minute in 0..=60 {
        let now = at(NOW) + TimeDelta::minutes(minute);
        world.clock.set(now);
        let body = report_of(
            u128::from(minute.unsigned_abs()),
            1,
            now - TimeDelta::minutes(10),
            &[],
        )
        .to_string();
        assert!(world.report_sent(&[(body, now)]).await.is_empty());
        let lines = log.take("the end of the newest period");
        logged.extend(lines.iter().map(|line| {
            (
                minute,
                line["node_server_id"].clone(),
                line["clock_skew_seconds"].clone(),
            )
        }));
    }
    assert_eq!(
        logged,
        [0, 60].map(|minute| (minute, json!(1), json!(-600)))
    );
    assert_eq!(world.number(SKEW).await, -600);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn clock_skew_is_taken_from_the_newest_period(pool: PgPool) {
    let (world, log) = (World::new(pool).await, Log::begin());
    let now = at(NOW);
    let body = |id, end| report_of(id, 1, end, &[]).to_string();
    let ahead = now + TimeDelta::minutes(4);
    assert!(world.report_sent(&[(body(1, ahead), now)]).await.is_empty());
    assert_eq!(
        (
            world.number(SKEW).await,
            log.take("the end of the newest period").len()
        ),
        (240, 1)
    );
    // A late report does not change the skew, the next timely report does.
    let later = now + TimeDelta::minutes(1);
    world.clock.set(later);
    let messages = [
        (body(2, now - TimeDelta::hours(1)), later),
        (body(3, later - TimeDelta::seconds(2)), later),
    ];
    assert!(world.report_sent(&messages).await.is_empty());
    assert_eq!(
        (
            world.number(SKEW).await,
            log.take("the end of the newest period").len()
        ),
        (-2, 0)
    );
    assert!(
        world
            .report_sent(&[(body(4, now - TimeDelta::hours(2)), later)])
            .await
            .is_empty()
    );
    assert_eq!(
        (
            world.number(SKEW).await,
            log.take("the end of the newest period").len()
        ),
        (-2, 0)
    );
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn reports_without_traffic_do_not_change_the_last_traffic_time(pool: PgPool) {
    let world = World::new(pool).await;
    let traffic =
        "select extract(epoch from last_traffic_at)::bigint from telecom.node_server_heartbeat";
    let (nine, eight) = (at("2026-03-10T09:00:00Z"), at("2026-03-10T08:00:00Z"));
    world
        .report(&texts(&[
            report_of(1, 1, eight, &[(user(1), 1, 0)]),
            report(2, &[]),
        ]))
        .await;
    assert_eq!(world.number(traffic).await, eight.timestamp());
    // A late report counts as traffic, a report of zero bytes does not.
    world
        .report(&texts(&[
            report_of(3, 1, nine, &[(user(1), 0, 1)]),
            report(4, &[(user(1), 0, 0)]),
        ]))
        .await;
    assert_eq!(world.number(traffic).await, nine.timestamp());
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn repeated_report_succeeds_after_its_server_was_deleted(pool: PgPool) {
    let world = World::new(pool).await;
    world.server(2, &[]).await;
    let body = |id, bytes| report_of(id, 2, at(NOW), &[(user(1), bytes, 0)]);
    assert_all_accepted(&world, &texts(&[body(1, 5)])).await;
    world
        .sql("delete from telecom.node_server where id = 2")
        .await;
    // A repeat, the same id with another payload, and a new report.
    let bodies = texts(&[body(1, 5), body(1, 6), body(2, 5)]);
    assert_eq!(world.report(&bodies).await, [message_id(1), message_id(2)]);
    assert_eq!(world.number(RAW_BYTES).await, 5);
}
