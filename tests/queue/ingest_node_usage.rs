//! What nodes push is billed once, and what may be billed twice or not at all is listed.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use sqlx::PgPool;
use telecom_tests::push::{Push, push};
use telecom_tests::{CLIENT, NOW, SERVER, World, at, message_id, user};
use uuid::Uuid;

const NONE: [&str; 0] = [];
const ROWS: &[(i32, i64, i64)] = &[(1, 1000, 2000), (2, 10, 20)];
const ROWS_BYTES: i64 = 3030;

async fn world(pool: PgPool) -> World {
    let world = World::new(pool).await;
    world.number_users(3).await;
    // Pushes arrive within the next ten minutes.
    world.clock.set(at(NOW) + TimeDelta::minutes(10));
    world
}

async fn raw_bytes(world: &World) -> i64 {
    let raw =
        "select coalesce(sum(upload_bytes + download_bytes), 0)::bigint from telecom.traffic_usage";
    world.number(raw).await
}

/// A row of `doubtful_push`, with its bytes at stake.
#[derive(Debug, PartialEq, sqlx::FromRow)]
struct Doubtful {
    push_id: Uuid,
    doubt: String,
    evidence: Vec<String>,
    user_numbers: Vec<i32>,
    total_bytes: i64,
    is_billed: bool,
}

async fn doubts(world: &World) -> Vec<Doubtful> {
    let doubts = "select push_id, doubt::text, evidence, user_numbers, total_bytes,
            traffic_factor is not null as is_billed
        from telecom.doubtful_push order by arrived_at, doubt";
    sqlx::query_as(doubts).fetch_all(&world.pool).await.unwrap()
}

fn contains_previous(id: u128, evidence: &[&str]) -> Doubtful {
    Doubtful {
        push_id: Uuid::from_u128(id),
        doubt: "contains_previous".into(),
        evidence: evidence.iter().copied().map(String::from).collect(),
        user_numbers: vec![1, 2],
        total_bytes: ROWS_BYTES,
        is_billed: true,
    }
}

/// The attempts of one push, with ids from `id`.
fn attempts(id: u128, times: &[f64], rows: &[(i32, i64, i64)]) -> Vec<Push> {
    (id..)
        .zip(times)
        .map(|(id, at)| push(id, *at, rows))
        .collect()
}

fn of_clearing_software(pushes: Vec<Push>) -> Vec<Push> {
    pushes.into_iter().map(Push::of_clearing_software).collect()
}

/// The rows of a push that contains `ROWS`.
const LARGER: &[(i32, i64, i64)] = &[(1, 1500, 2000), (2, 10, 21), (3, 7, 7)];
const LARGER_BYTES: i64 = 3545;

// The behaviours of node software.

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn software_that_clears_before_it_sends_is_billed_once(pool: PgPool) {
    let world = world(pool).await;
    // No answer to the first push: four attempts, then new traffic.
    let mut pushes = attempts(1, &[0.0, 3.1, 6.2, 9.6], ROWS);
    pushes.extend(attempts(5, &[69.0], LARGER));
    world.push_each(&of_clearing_software(pushes)).await;
    assert_eq!(raw_bytes(&world).await, ROWS_BYTES + LARGER_BYTES);
    assert_eq!(doubts(&world).await, []);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn software_that_clears_after_an_answer_is_billed_twice_and_listed(pool: PgPool) {
    let world = world(pool).await;
    let mut pushes = attempts(1, &[0.0, 5.1, 10.2, 15.3], ROWS);
    pushes.extend(attempts(5, &[75.3], LARGER));
    world.push_each(&pushes).await;
    assert_eq!(raw_bytes(&world).await, ROWS_BYTES + LARGER_BYTES);
    let listed = contains_previous(5, &["repeated", "larger"]);
    assert_eq!(doubts(&world).await, [listed]);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn software_that_restores_after_a_failure_is_billed_twice_and_listed(pool: PgPool) {
    let world = world(pool).await;
    // One attempt. The next push skips a period.
    let pushes = [push(1, 0.0, ROWS).accepted_late(), push(2, 120.0, LARGER)];
    world.push_each(&pushes).await;
    assert_eq!(raw_bytes(&world).await, ROWS_BYTES + LARGER_BYTES);
    let listed = contains_previous(2, &["answered_late", "gap", "larger"]);
    assert_eq!(doubts(&world).await, [listed]);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn software_with_a_durable_batch_is_billed_once(pool: PgPool) {
    let world = world(pool).await;
    // The batch whose answer was lost is never sent again.
    let pushes = [
        push(1, 0.0, ROWS).accepted_late(),
        push(2, 60.0, &[(1, 5, 5)]),
        push(3, 120.0, &[(1, 6, 6)]),
    ];
    world
        .push_each(&of_clearing_software(pushes.to_vec()))
        .await;
    assert_eq!(raw_bytes(&world).await, ROWS_BYTES + 22);
    assert_eq!(doubts(&world).await, []);
}

// Repeats.

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn attempts_after_cut_connections_are_billed_once(pool: PgPool) {
    let world = world(pool).await;
    let pushes = attempts(1, &[0.0, 0.1, 0.3, 0.45], ROWS);
    assert_eq!(world.push(&pushes).await, NONE);
    assert_eq!(raw_bytes(&world).await, ROWS_BYTES);
    let arrivals = "select max(arrivals)::bigint from telecom.node_push";
    assert_eq!(world.number(arrivals).await, 4);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn two_periods_with_equal_rows_are_billed_twice(pool: PgPool) {
    let world = world(pool).await;
    let pushes = of_clearing_software(attempts(1, &[0.0, 60.0], ROWS));
    world.push_each(&pushes).await;
    assert_eq!(raw_bytes(&world).await, 2 * ROWS_BYTES);
    assert_eq!(doubts(&world).await, []);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn pushes_in_any_order_and_again_are_billed_once(pool: PgPool) {
    let world = world(pool).await;
    let mut pushes = attempts(1, &[0.0, 3.1, 60.0, 63.1, 120.0], ROWS);
    pushes.extend(attempts(6, &[180.0, 183.0], LARGER));
    pushes.reverse();
    pushes.swap(1, 4);
    world.push_each(&pushes).await;
    let counted = 3 * ROWS_BYTES + LARGER_BYTES;
    assert_eq!(raw_bytes(&world).await, counted);
    pushes.sort_by_key(|push| push.id);
    assert_eq!(world.push(&pushes).await, NONE);
    world.push_each(&pushes).await;
    assert_eq!(raw_bytes(&world).await, counted);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_repeat_that_is_delivered_again_after_days_is_billed_once(pool: PgPool) {
    let world = world(pool).await;
    let pushes = attempts(1, &[0.0, 3.1], ROWS);
    world.push_each(&pushes).await;
    // After the retention of pushes.
    world.sql("delete from telecom.node_push").await;
    world.sql("delete from telecom.last_node_push").await;
    world
        .push_each(&[pushes[1].clone(), pushes[0].clone()])
        .await;
    assert_eq!(raw_bytes(&world).await, ROWS_BYTES);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn attempts_delivered_at_once_on_two_connections_are_billed_once(pool: PgPool) {
    let world = world(pool).await;
    let pushes = attempts(1, &[0.0, 3.1, 6.2, 9.6], ROWS);
    let (one, other) = pushes.split_at(2);
    let again = world.push(&pushes);
    let failed = tokio::join!(world.push(one), world.push(other), again);
    assert_eq!((failed.0, failed.1, failed.2), (vec![], vec![], vec![]));
    assert_eq!(raw_bytes(&world).await, ROWS_BYTES);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn equal_pushes_of_other_access_and_of_other_parts_are_no_repeats(pool: PgPool) {
    let world = world(pool).await;
    let pushes = [
        push(1, 0.0, ROWS),
        push(2, 0.0, ROWS).with("/access_id", json!(8)),
        push(3, 0.0, ROWS).with("/content/push/part", json!(1)),
    ];
    assert_eq!(world.push(&pushes).await, NONE);
    assert_eq!(raw_bytes(&world).await, 3 * ROWS_BYTES);
    assert_eq!(doubts(&world).await, []);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_push_id_with_other_rows_is_refused(pool: PgPool) {
    let world = world(pool).await;
    world.push_each(&[push(1, 0.0, ROWS)]).await;
    assert_eq!(world.push(&[push(1, 0.0, LARGER)]).await, [message_id(0)]);
    assert_eq!(raw_bytes(&world).await, ROWS_BYTES);
}

// Doubts.

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn an_earlier_push_that_comes_late_is_listed_with_the_push_that_contains_it(pool: PgPool) {
    let world = world(pool).await;
    let pushes = [push(2, 60.0, LARGER), push(1, 0.0, ROWS).accepted_late()];
    world.push_each(&pushes).await;
    let listed = contains_previous(2, &["answered_late", "larger"]);
    assert_eq!(doubts(&world).await, [listed]);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn unknown_users_are_not_billed_and_are_listed(pool: PgPool) {
    let world = world(pool).await;
    let rows = [(1, 1000, 2000), (900, 5, 6)];
    world
        .push_each(&[push(1, 0.0, &rows), push(2, 3.0, &rows)])
        .await;
    assert_eq!(raw_bytes(&world).await, 3000);
    let listed = Doubtful {
        push_id: Uuid::from_u128(1),
        doubt: "unknown_users".into(),
        evidence: vec![],
        user_numbers: vec![900],
        total_bytes: 11,
        is_billed: false,
    };
    assert_eq!(doubts(&world).await, [listed]);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn unknown_users_of_a_contained_push_are_not_at_stake(pool: PgPool) {
    let world = world(pool).await;
    let rows = [(1, 1000, 2000), (2, 10, 20), (900, 5, 6)];
    world
        .push_each(&[push(1, 0.0, &rows), push(2, 60.0, &rows)])
        .await;
    let contained = contains_previous(2, &["larger"]);
    assert!(doubts(&world).await.contains(&contained));
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn unreadable_rows_are_listed_once_with_their_reasons(pool: PgPool) {
    let world = world(pool).await;
    let unreadable = json!([{ "key": "x", "reason": "no number" }]);
    let push = |id, at| {
        push(id, at, &[])
            .with("/content/push/unreadable", unreadable.clone())
            .with("/content/push/unreadable_rows", json!(3))
    };
    world.push_each(&[push(1, 0.0), push(2, 3.0)]).await;
    let listed: Vec<(String, Value, i32)> = sqlx::query_as(
        "select doubt::text, unreadable, unreadable_rows from telecom.doubtful_push",
    )
    .fetch_all(&world.pool)
    .await
    .unwrap();
    assert_eq!(listed, [("unreadable_rows".to_owned(), unreadable, 3)]);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_push_of_more_than_the_line_carries_is_listed_as_not_billed(pool: PgPool) {
    let world = world(pool).await;
    let rows = [(1, 1 << 50, 1 << 50)];
    world
        .push_each(&[push(1, 0.0, &rows), push(2, 60.0, &rows)])
        .await;
    assert_eq!(raw_bytes(&world).await, 0);
    let listed: Vec<bool> = doubts(&world).await.iter().map(|d| d.is_billed).collect();
    assert_eq!(listed, [false]);
}

// Reports.

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_push_covers_the_time_since_the_one_before(pool: PgPool) {
    let world = world(pool).await;
    let pushes = [
        push(1, 0.0, ROWS),
        push(2, 100.0, LARGER),
        push(3, 50.0, &[]),
    ];
    world.push_each(&pushes).await;
    let periods: Vec<i64> = sqlx::query_scalar(
        "select extract(epoch from period_end - period_start)::bigint from telecom.usage_report \
         order by report_id",
    )
    .fetch_all(&world.pool)
    .await
    .unwrap();
    assert_eq!(periods, [60, 100, 60]);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_heartbeat_and_its_metrics_are_recorded_for_the_server(pool: PgPool) {
    let world = world(pool).await;
    let beat = push(1, 30.0, &[]).with("/content/push/metrics", json!({ "load1": 0.5 }));
    world.push_each(&[beat]).await;
    let (online_at, load): (DateTime<Utc>, f64) = sqlx::query_as(
        "select last_online_at, load1 from telecom.node_server_heartbeat where node_server_id = 1",
    )
    .fetch_one(&world.pool)
    .await
    .unwrap();
    assert_eq!(
        (online_at.to_rfc3339().as_str(), load),
        ("2026-03-10T10:30:30+00:00", 0.5)
    );
    let pushes = "select count(*) from telecom.last_node_push";
    assert_eq!(world.number(pushes).await, 0);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_push_is_billed_by_the_client_of_its_access(pool: PgPool) {
    let world = world(pool).await;
    world.server(2, &[(21, "1"), (22, "2.5")]).await;
    let of_client = push(1, 0.0, &[(1, 10, 20)])
        .with("/server_id", json!(2))
        .with("/node_client_id", json!(22));
    let of_server = push(2, 0.0, &[(1, 100, 200)])
        .with("/server_id", json!(2))
        .with("/node_client_id", Value::Null);
    assert_eq!(world.push(&[of_client, of_server]).await, NONE);
    world.deliver_all().await;
    assert_eq!(world.usage(user(1)).await, [110, 220, 125, 250]);
}

fn report_of_collector(push_id: u128, client: Option<i32>) -> Push {
    push(push_id, 0.0, &[]).with(
        "/content",
        json!({ "report": {
            "type": "usage.report.v1", "report_id": Uuid::from_u128(77), "server_id": SERVER,
            "period_start": "2026-03-10T10:29:00Z", "period_end": "2026-03-10T10:30:00Z",
            "usage": [{ "user": user(1), "node_client_id": client, "upload": 3, "download": 4 }]
        } }),
    )
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_collectors_report_is_recorded_once_for_the_client_of_its_access(pool: PgPool) {
    let world = world(pool).await;
    let reports = [report_of_collector(1, None), report_of_collector(2, None)];
    assert_eq!(world.push(&reports).await, NONE);
    world.push_each(&reports).await;
    let client = "select node_client_id::bigint from telecom.traffic_usage";
    assert_eq!(
        (raw_bytes(&world).await, world.number(client).await),
        (7, CLIENT.into())
    );
    let sender: String = sqlx::query_scalar("select sender_id from telecom.usage_report")
        .fetch_one(&world.pool)
        .await
        .unwrap();
    assert_eq!(sender, "node-access:7");
}

// The fleet.

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_push_for_an_archived_server_is_rejected_and_changes_nothing(pool: PgPool) {
    let world = world(pool).await;
    world
        .sql("update telecom.node_server set archived_at = '2026-03-10T10:29:00Z'")
        .await;
    assert_eq!(world.push(&[push(1, 0.0, ROWS)]).await, [message_id(0)]);
    let pushes = "select count(*) from telecom.node_push";
    assert_eq!(world.number(pushes).await, 0);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_push_delivered_again_after_its_server_was_deleted_is_accepted(pool: PgPool) {
    let world = world(pool).await;
    let pushes = [push(1, 0.0, ROWS), push(2, 3.0, ROWS)];
    world.push_each(&pushes).await;
    world.sql("delete from telecom.node_client").await;
    world.sql("delete from telecom.node_server").await;
    world.push_each(&pushes).await;
    assert_eq!(world.push(&[push(3, 60.0, ROWS)]).await, [message_id(0)]);
    assert_eq!(raw_bytes(&world).await, ROWS_BYTES);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_push_for_a_client_of_another_server_is_quarantined(pool: PgPool) {
    let world = world(pool).await;
    world
        .push_each(&[push(1, 0.0, ROWS).with("/node_client_id", json!(99))])
        .await;
    let quarantined = "select lines from telecom.quarantine";
    assert_eq!(
        (raw_bytes(&world).await, world.number(quarantined).await),
        (0, 2)
    );
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_batch_of_everything_is_recorded_message_by_message(pool: PgPool) {
    let world = world(pool).await;
    let poison = push(8, 0.0, ROWS).with("/content/push/rows", json!([[1, -1, 0]]));
    let batch = [
        push(1, 0.0, ROWS),
        push(2, 3.0, ROWS),
        poison,
        push(3, 60.0, LARGER),
        push(4, 60.0, &[(900, 1, 1)]).with("/node_client_id", Value::Null),
        push(5, 61.0, &[]),
        report_of_collector(6, Some(CLIENT)),
        push(7, 0.0, ROWS)
            .with("/server_id", json!(404))
            .with("/access_id", json!(9)),
        push(1, 0.0, ROWS),
    ];
    let failed = [2, 7].map(message_id);
    assert_eq!(world.push(&batch).await, failed);
    assert_eq!(world.push(&batch).await, failed);
    assert_eq!(raw_bytes(&world).await, ROWS_BYTES + LARGER_BYTES + 7);
    let listed: Vec<String> = doubts(&world).await.into_iter().map(|d| d.doubt).collect();
    assert_eq!(listed, ["contains_previous", "unknown_users"]);
}
