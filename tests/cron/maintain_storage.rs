//! Partitions are created before they are needed and dropped when none of their rows is needed.
//! Report ids are kept longer than any redelivery takes.

use chrono::TimeDelta;
use shared::services::Processor;
use shared::services::cron::Run;
use shared::services::cron::maintain_storage::{DAYS_AHEAD, MaintainStorageJob, Maintained};
use sqlx::PgPool;
use telecom_tests::report::{report, report_of, texts};
use telecom_tests::{NOW, World, at, message_id, user};

use super::bill_traffic::assert_all_accepted;

const PARTITIONS: &str =
    "select count(*) from pg_inherits where inhparent = 'telecom.traffic_usage'::regclass";

async fn maintain(world: &World) -> Maintained {
    world
        .cron()
        .process(MaintainStorageJob(Run::default()))
        .await
        .unwrap()
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn partitions_are_created_a_week_ahead_and_a_repeat_creates_none(pool: PgPool) {
    let world = World::new(pool).await;
    let (a, b) = (maintain(&world).await, maintain(&world).await);
    assert_eq!(
        (a.partitions_created, b.partitions_created),
        (DAYS_AHEAD - 2, 0)
    );
    assert_eq!(world.number(PARTITIONS).await, i64::from(DAYS_AHEAD));
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn partition_with_unbilled_rows_is_never_dropped(pool: PgPool) {
    let world = World::new(pool).await;
    assert_all_accepted(&world, &texts(&[report(1, &[(user(1), 10, 0)])])).await;
    world.clock.set(at(NOW) + TimeDelta::days(60));
    // One of the two old partitions is empty, the other one holds the report.
    assert_eq!(maintain(&world).await.partitions_dropped, 1);
    world.deliver_all().await;
    assert_eq!(maintain(&world).await.partitions_dropped, 1);
    assert_eq!(world.usage(user(1)).await[0], 10);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn report_id_is_kept_as_long_as_its_report_would_be_accepted(pool: PgPool) {
    let world = World::new(pool).await;
    // The latest accepted end of a period is five minutes ahead of the clock.
    let body = texts(&[report_of(
        1,
        1,
        at(NOW) + TimeDelta::minutes(5),
        &[(user(1), 10, 0)],
    )]);
    assert_all_accepted(&world, &body).await;
    world.deliver_all().await;
    for days in 1..60 {
        world.clock.set(at(NOW) + TimeDelta::days(days));
        let maintained = maintain(&world).await;
        let refused = world.report(&body).await == [message_id(0)];
        assert!(
            refused || maintained.reports_deleted == 0,
            "day {days}: the id was deleted, and the report was accepted again"
        );
        world.deliver_all().await;
    }
    assert_eq!(
        world
            .number("select count(*) from telecom.usage_report")
            .await,
        0
    );
    assert_eq!(world.usage(user(1)).await[0], 10);
}
