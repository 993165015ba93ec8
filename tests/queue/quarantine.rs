//! Usage that cannot be billed as reported is quarantined until an administrator releases it.

use serde_json::{Value, json};
use sqlx::PgPool;
use telecom_tests::report::{report, report_of, texts, with};
use telecom_tests::{NOW, World, at, message_id, user};

use super::ingest_usage_report::assert_all_accepted;

/// One byte more than a line of 100 Gbit/s carries in two minutes.
const TOO_MUCH: i64 = 1_500_000_000_001;
const PIB: i64 = 1 << 50;

/// A row of the view `telecom.quarantine`.
#[derive(Debug, PartialEq, sqlx::FromRow)]
struct Quarantined {
    node_server_id: i32,
    reason: String,
    lines: i64,
    lines_without_factor: i64,
    bytes: i64,
    released_by: Option<String>,
    release_reason: Option<String>,
}

async fn quarantine(world: &World) -> Vec<Quarantined> {
    sqlx::query_as(
        "select node_server_id, reason, lines, lines_without_factor,
        (upload_bytes + download_bytes)::bigint as bytes,
            released_by, release_reason
         from telecom.quarantine order by usage_report_seq",
    )
    .fetch_all(&world.reader)
    .await
    .unwrap()
}

/// Releases all quarantined reports. Lines of unknown clients are billed at `factor`.
async fn release(world: &World, factor: Option<i32>) -> Result<Vec<i64>, sqlx::Error> {
    // The SQL function uses the database's clock, so partitions of the current days must exist.
    world
        .sql("select telecom.create_traffic_usage_partitions(current_date - 1, 3)")
        .await;
    sqlx::query_scalar(
        "select telecom.release_quarantined_report(usage_report_seq, 'checked', $1)
        from telecom.quarantine
         order by usage_report_seq",
    )
    .bind(factor)
    .fetch_all(&world.pool)
    .await
}

async fn raw_bytes(world: &World) -> i64 {
    world
        .number(
            "select coalesce(sum(upload_bytes + download_bytes), 0)::bigint \
        from telecom.traffic_usage",
        )
        .await
}

fn with_client(client: i32, line: usize, body: Value) -> Value {
    with(
        body,
        &format!("/usage/{line}/node_client_id"),
        json!(client),
    )
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn report_of_two_pebibytes_in_ten_seconds_is_quarantined(pool: PgPool) {
    let world = World::new(pool).await;
    let body = with(
        report(1, &[(user(1), PIB, PIB)]),
        "/period_start",
        json!("2026-03-10T10:29:50Z"),
    );
    assert_all_accepted(&world, &texts(&[body])).await;
    world.deliver_all().await;
    assert_eq!(world.usage(user(1)).await, [0; 4]);
    let expected = Quarantined {
        node_server_id: 1,
        reason: "implausible_bytes".into(),
        lines: 1,
        lines_without_factor: 0,
        bytes: 2 * PIB,
        released_by: None,
        release_reason: None,
    };
    assert_eq!(quarantine(&world).await, [expected]);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn report_at_the_highest_plausible_rate_is_billed(pool: PgPool) {
    let world = World::new(pool).await;
    let bodies = texts(&[
        report(1, &[(user(1), TOO_MUCH - 1, 0)]),
        report(2, &[(user(1), TOO_MUCH, 0)]),
    ]);
    assert_all_accepted(&world, &bodies).await;
    assert_eq!(
        (raw_bytes(&world).await, quarantine(&world).await.len()),
        (TOO_MUCH - 1, 1)
    );
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn quarantined_report_is_recorded_once_and_counts_as_heartbeat(pool: PgPool) {
    let world = World::new(pool).await;
    let body = report(1, &[(user(1), TOO_MUCH, 0)]);
    let other = report(1, &[(user(1), TOO_MUCH, 1)]);
    for _ in 0..2 {
        assert_all_accepted(&world, &texts(std::slice::from_ref(&body))).await;
    }
    assert_eq!(world.report(&texts(&[body, other])).await, [message_id(1)]);
    assert_eq!(quarantine(&world).await.len(), 1);
    assert_eq!(
        world
            .number("select count(*) from telecom.node_server_heartbeat")
            .await,
        1
    );
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn released_report_is_billed_once_at_the_factor_of_its_arrival(pool: PgPool) {
    let world = World::new(pool).await;
    world
        .sql("update telecom.node_client set traffic_factor = 0.5")
        .await;
    assert_all_accepted(
        &world,
        &texts(&[report(1, &[(user(1), TOO_MUCH, 1), (user(2), 4, 0)])]),
    )
    .await;
    world
        .sql("update telecom.node_client set traffic_factor = 7")
        .await;
    assert_eq!(release(&world, None).await.unwrap(), [2]);
    world.deliver_all().await;
    assert_eq!(
        world.usage(user(1)).await,
        [TOO_MUCH, 1, TOO_MUCH / 2 + 1, 1]
    );
    assert_eq!(world.usage(user(2)).await, [4, 0, 2, 0]);
    assert!(
        release(&world, None)
            .await
            .unwrap_err()
            .to_string()
            .contains("no unreleased report")
    );
    let row = quarantine(&world).await.remove(0);
    assert!(row.released_by.is_some());
    assert_eq!(row.release_reason.as_deref(), Some("checked"));
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn only_the_line_of_an_unknown_client_is_quarantined(pool: PgPool) {
    let world = World::new(pool).await;
    world
        .sql(
            "insert into telecom.node_client (id, node_server_id, name, country) values (12, 1, \
        'gone', 'DE')",
        )
        .await;
    world
        .sql("delete from telecom.node_client where id = 12")
        .await;
    let lines: Vec<_> = (0..1_000).map(|n| (user(n), 1, 0)).collect();
    assert_all_accepted(&world, &texts(&[with_client(12, 500, report(1, &lines))])).await;
    world.deliver_all().await;
    assert_eq!(
        (
            world.usage(user(499)).await[0],
            world.usage(user(500)).await[0],
            raw_bytes(&world).await
        ),
        (1, 0, 999)
    );
    let expected = Quarantined {
        node_server_id: 1,
        reason: "unknown_node_client".into(),
        lines: 1,
        lines_without_factor: 1,
        bytes: 1,
        released_by: None,
        release_reason: None,
    };
    assert_eq!(quarantine(&world).await, [expected]);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn usage_naming_a_client_of_another_server_is_not_billed(pool: PgPool) {
    let world = World::new(pool).await;
    world.server(2, &[(21, "0")]).await;
    assert_all_accepted(
        &world,
        &texts(&[with_client(21, 0, report(1, &[(user(1), 10, 20)]))]),
    )
    .await;
    assert_eq!(
        (raw_bytes(&world).await, quarantine(&world).await[0].bytes),
        (0, 30)
    );

    // After the client has moved, its lines are billed on the new server and quarantined on the old
    // server.
    world
        .sql("update telecom.node_client set node_server_id = 2 where id = 11")
        .await;
    let on = |id, server| with_client(11, 0, report_of(id, server, at(NOW), &[(user(1), 1, 0)]));
    assert_all_accepted(&world, &texts(&[on(2, 1), on(3, 2)])).await;
    assert_eq!(
        (raw_bytes(&world).await, quarantine(&world).await.len()),
        (1, 2)
    );
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn lines_of_unknown_clients_are_released_at_a_given_factor(pool: PgPool) {
    let world = World::new(pool).await;
    assert_all_accepted(
        &world,
        &texts(&[with_client(99, 0, report(1, &[(user(1), 10, 20)]))]),
    )
    .await;
    assert!(
        release(&world, None)
            .await
            .unwrap_err()
            .to_string()
            .contains("a factor is required")
    );
    assert_eq!(quarantine(&world).await[0].released_by, None);
    assert!(
        release(&world, Some(101)).await.is_err(),
        "a factor above 100 is invalid"
    );
    assert_eq!(release(&world, Some(2)).await.unwrap(), [1]);
    world.deliver_all().await;
    assert_eq!(world.usage(user(1)).await, [10, 20, 20, 40]);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn release_requires_a_reason_and_is_denied_to_functions(pool: PgPool) {
    let world = World::new(pool).await;
    assert_all_accepted(&world, &texts(&[report(1, &[(user(1), TOO_MUCH, 0)])])).await;
    let blank = "select telecom.release_quarantined_report(min(usage_report_seq), ' ') \
        from telecom.quarantine";
    let refusal = sqlx::query(blank)
        .execute(&world.pool)
        .await
        .unwrap_err()
        .to_string();
    assert!(refusal.contains("a reason is required"), "{refusal}");
    for role in [&world.writer, &world.reader] {
        let refusal = sqlx::query(blank)
            .execute(role)
            .await
            .unwrap_err()
            .to_string();
        assert!(refusal.contains("permission denied"), "{refusal}");
    }
}
