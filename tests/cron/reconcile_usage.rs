//! Accepted, recorded and charged usage must agree. If a row is changed by hand, the next run of
//! the job reports a drift.

use chrono::TimeDelta;
use rstest::rstest;
use serde_json::{Value, json};
use shared::services::Processor;
use shared::services::cron::Run;
use shared::services::cron::maintain_storage::MaintainStorageJob;
use sqlx::PgPool;
use telecom_tests::report::{report_of, texts};
use telecom_tests::{GIB, NOW, World, at, user};

use super::bill_traffic::assert_all_accepted;

/// Two users with a package and one without. All their reports, over a client of factor 1.5, are
/// billed, and it is two hours later.
async fn billed(pool: PgPool) -> World {
    let world = World::new(pool).await;
    world.server(2, &[(21, "1.5")]).await;
    let package = world.package(GIB, 30).await;
    world.active_item(user(1), package).await;
    world.active_item(user(2), package).await;
    let usage = [(user(1), 11, 22), (user(2), 33, 44), (user(3), 55, 66)];
    let reports = [
        report_of(1, 2, at(NOW), &usage),
        report_of(2, 2, at(NOW), &usage[..1]),
    ];
    assert_all_accepted(&world, &texts(&reports)).await;
    world.deliver_all().await;
    world.sql("delete from telecom.outbox").await;
    world.clock.set(at(NOW) + TimeDelta::hours(2));
    world
}

/// The kind and the difference of each published drift. A difference consists of raw upload, raw
/// download, billed upload and billed download.
async fn drifts(world: &World) -> Vec<(String, [i64; 4])> {
    let facts = world
        .facts()
        .await
        .into_iter()
        .filter(|(name, _)| name == "UsageDrifted");
    let bytes = |fact: &Value, name: &str| fact[format!("{name}_bytes")].as_i64().unwrap();
    let difference = |fact: &Value| {
        [
            "raw_upload",
            "raw_download",
            "billed_upload",
            "billed_download",
        ]
        .map(|name| bytes(fact, name))
    };
    facts
        .map(|(_, fact)| (fact["kind"].as_str().unwrap().to_owned(), difference(&fact)))
        .collect()
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn no_drift_is_found_if_all_usage_was_billed(pool: PgPool) {
    let world = billed(pool).await;
    let done = world.reconcile().await;
    assert_eq!(
        (done.drifts, done.published, done.complete, done.rotated),
        (0, 0, true, true)
    );
    // Each run and item is checked twice: as a recent one and in rotation.
    assert_eq!((done.runs, done.items), (2, 4));
    assert!(done.hours > 48, "{done:?}");
}

const HOURLY: &str = "telecom.user_package_usage set billed_upload_bytes = billed_upload_bytes";
const OF_USER_1: &str = "user_id = '0fff0000-0000-0000-0000-000000000001'";

#[rstest]
#[case::hourly_row(&format!("update {HOURLY} + 5 where {OF_USER_1}"), &[("hour", [0, 0, 5, 0]),
    ("node_hour", [0, 0, -5, 0]), ("item", [0, 0, -5, 0])])]
#[case::hourly_row_without_an_item(&format!("update {HOURLY} - 5 where package_queue_id is null"),
    &[("hour", [0, 0, -5, 0]), ("node_hour", [0, 0, 5, 0])])]
#[case::deleted_row(
    &format!("delete from telecom.user_package_usage where {OF_USER_1}"),
    &[("hour", [-22, -44, -33, -66]), ("node_hour", [22, 44, 33, 66]), ("item", [0, 0, 33, 66])]
)]
#[case::counter(
    &format!("update telecom.package_queue set download_bytes = 0 where {OF_USER_1}"),
    &[("item", [0, 0, 0, -66])]
)]
#[case::usage_of_a_node(
    "update telecom.node_usage_delta set raw_upload_bytes = raw_upload_bytes + 7",
    &[("node_hour", [7, 0, 0, 0])]
)]
#[case::day_of_a_node(
    "insert into telecom.node_usage_daily values ('2026-03-10', 2, 21, 7, 0, 0, -3)",
    &[("node_day", [7, 0, 0, -3])]
)]
#[case::parked(
    "insert into telecom.parked_event (user_id, bucket_start, node_server_id, raw_upload_bytes,
    raw_download_bytes,
         billed_upload_bytes, billed_download_bytes, reason, parked_at, retry_at)
     values (gen_random_uuid(), '2026-03-10T10:00Z', 1, 1, 2, 3, 4, '', '2026-03-10Z',
     '2026-03-11Z')",
    &[("hour", [1, 2, 3, 4])]
)]
#[case::raw_row(
    &format!("update telecom.traffic_usage set upload_bytes = 13 where {OF_USER_1}"),
    &[("run", [-4, 0, -6, 0])]
)]
#[case::factor(
    &format!("update telecom.traffic_usage set traffic_factor = 1 where {OF_USER_1}"),
    &[("run", [0, 0, 11, 22])]
)]
#[case::run(
    "update telecom.billing_run set raw_upload_bytes = raw_upload_bytes + 1",
    &[("run", [1, 0, 0, 0]), ("applied", [-1, 0, 0, 0])]
)]
#[case::ledger("update telecom.accepted_usage set raw_upload_bytes = 0", &[("applied", [-110, 0,
    0, 0]), ("hour", [110, 0, 0, 0])])]
#[case::package_of_an_uncharged_user(
    "insert into telecom.package_queue (user_id, package_id, created_at)
     select user_id, 1, '2026-03-10T10:00Z' from telecom.user_package_usage
     where package_queue_id is null",
    &[("uncharged", [55, 66, 83, 99])]
)]
#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn row_changed_by_hand_is_found_by_the_next_run(
    #[ignore] pool: PgPool,
    #[case] change: &str,
    #[case] expected: &[(&str, [i64; 4])],
) {
    let world = billed(pool).await;
    assert_eq!(world.reconcile().await.drifts, 0);
    world.sql(change).await;
    let done = world.reconcile().await;
    let mut found = drifts(&world).await;
    found.sort();
    let mut expected: Vec<_> = expected
        .iter()
        .map(|(kind, bytes)| ((*kind).to_owned(), *bytes))
        .collect();
    expected.sort();
    assert_eq!(found, expected);
    assert_eq!(
        (done.published, done.drifts),
        (found.len(), i64::try_from(found.len()).unwrap())
    );
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn drift_is_published_once_and_again_when_it_changes(pool: PgPool) {
    let world = billed(pool).await;
    let add = format!(
        "update telecom.package_queue set upload_bytes = upload_bytes + 5 where {OF_USER_1}"
    );
    world.sql(&add).await;
    let published = [
        world.reconcile().await.published,
        world.reconcile().await.published,
    ];
    assert_eq!(
        (published, drifts(&world).await),
        ([1, 0], vec![("item".into(), [0, 0, 5, 0])])
    );
    let item = world
        .number("select package_queue_id from telecom.usage_drift")
        .await;
    let (_, fact) = world.facts().await.remove(0);
    assert_eq!(
        (&fact["package_queue_id"], &fact["user"]),
        (&json!(item), &json!(user(1)))
    );
    world
        .sql("update telecom.usage_drift set accepted_reason = 'as it was imported'")
        .await;
    let done = world.reconcile().await;
    assert_eq!((done.published, done.drifts), (0, 0));
    world.sql(&add).await;
    let done = world.reconcile().await;
    assert_eq!((done.published, done.drifts), (1, 1));
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn repaired_row_ends_its_drift(pool: PgPool) {
    let world = billed(pool).await;
    world.sql(&format!("update {HOURLY} + 5")).await;
    assert!(world.reconcile().await.drifts > 0);
    world.sql(&format!("update {HOURLY} - 5")).await;
    assert_eq!(
        (
            world.reconcile().await.drifts,
            world
                .number("select count(*) from telecom.usage_drift")
                .await
        ),
        (0, 0)
    );
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn hour_is_not_checked_before_it_is_closed(pool: PgPool) {
    let world = billed(pool).await;
    world
        .sql(&format!(
            "update {HOURLY} + 5 where package_queue_id is null"
        ))
        .await;
    world.clock.set(at("2026-03-10T10:59:59Z"));
    assert_eq!(world.reconcile().await.drifts, 0);
    world.clock.set(at("2026-03-10T11:00:00Z"));
    // The usage of the node differs, too.
    assert_eq!(world.reconcile().await.drifts, 2);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn hours_before_the_ledger_began_are_not_checked(pool: PgPool) {
    let world = billed(pool).await;
    world.sql("delete from telecom.accepted_usage").await;
    let set = "update telecom.reconciliation set checked_from =";
    world.sql(&format!("{set} '2026-03-10T12:00Z'")).await;
    assert_eq!(world.reconcile().await.drifts, 0);
    world.sql(&format!("{set} '2026-03-10T10:00Z'")).await;
    assert_eq!(world.reconcile().await.drifts, 2);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn late_reports_of_a_closed_hour_cause_no_drift(pool: PgPool) {
    let world = billed(pool).await;
    assert_eq!(world.reconcile().await.drifts, 0);
    let late = report_of(7, 2, at(NOW), &[(user(1), 7, 0), (user(3), 7, 0)]);
    assert_all_accepted(&world, &texts(&[late])).await;
    world.deliver_all().await;
    world.clock.set(at(NOW) + TimeDelta::hours(4));
    assert_eq!(world.reconcile().await.drifts, 0);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn lost_message_is_found_after_an_hour(pool: PgPool) {
    let world = billed(pool).await;
    let report = report_of(7, 2, at(NOW), &[(user(1), 7, 0)]);
    assert_all_accepted(&world, &texts(&[report])).await;
    world.bill().await;
    assert_eq!(world.take_outbox("user_usage_billing").await.len(), 1);
    assert_eq!(world.reconcile().await.drifts, 0);
    world.clock.set(at(NOW) + TimeDelta::minutes(180));
    world.reconcile().await;
    assert_eq!(drifts(&world).await, [("applied".into(), [-7, 0, -11, 0])]);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn parked_usage_causes_no_drift_before_or_after_it_is_charged(pool: PgPool) {
    let world = billed(pool).await;
    let set = async |bytes: &str| {
        world
            .sql(&format!(
                "update telecom.package_queue set upload_bytes = {bytes} where {OF_USER_1}"
            ))
            .await;
    };
    set("1::bigint << 61").await;
    let report = report_of(7, 2, at(NOW), &[(user(1), 7, 0), (user(2), 7, 0)]);
    assert_all_accepted(&world, &texts(&[report])).await;
    world.deliver_all().await;
    assert_eq!(
        world
            .number("select count(*) from telecom.parked_event")
            .await,
        1
    );
    world.reconcile().await;
    assert!(drifts(&world).await.iter().all(|(kind, _)| kind == "item"));
    set("33").await;
    world.clock.set(at(NOW) + TimeDelta::hours(4));
    assert_eq!(world.bill().await.unparked, 1);
    assert_eq!(world.reconcile().await.drifts, 0);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn old_rows_are_checked_in_rotation(pool: PgPool) {
    let world = billed(pool).await;
    world
        .sql(&format!(
            "update {HOURLY} + 5 where package_queue_id is null"
        ))
        .await;
    world.clock.set(at(NOW) + TimeDelta::days(60));
    assert_eq!(world.reconcile().await.drifts, 2);
    // An interrupted rotation continues at its cursor.
    world
        .sql("update telecom.reconciliation set hour_cursor = '2026-02-01Z'")
        .await;
    world
        .sql(&format!(
            "update {HOURLY} + 5 where package_queue_id is null"
        ))
        .await;
    world.sql("delete from telecom.usage_drift").await;
    assert_eq!(world.reconcile().await.drifts, 0);
    assert_eq!(world.reconcile().await.drifts, 2);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn rows_deleted_by_retention_cause_no_drift(pool: PgPool) {
    let world = billed(pool).await;
    for days in [44, 46, 200, 399, 401, 430] {
        world.clock.set(at(NOW) + TimeDelta::days(days));
        world
            .cron()
            .process(MaintainStorageJob(Run::default()))
            .await
            .unwrap();
        assert_eq!(world.reconcile().await.drifts, 0, "after {days} days");
    }
    assert_eq!(
        world
            .number("select count(*) from telecom.accepted_usage")
            .await,
        0
    );
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn concurrent_runs_publish_a_drift_once(pool: PgPool) {
    let world = billed(pool).await;
    world
        .sql(&format!(
            "update {HOURLY} + 5 where package_queue_id is null"
        ))
        .await;
    let (one, other) = tokio::join!(world.reconcile(), world.reconcile());
    assert_eq!(
        (one.published + other.published, drifts(&world).await.len()),
        (2, 2)
    );
}
