//! Each level before the end of an active item is published once, and again if the end moves later.

use std::time::Duration;

use serde_json::Value;
use shared::config::TelecomConfig;
use shared::domain::levels::{EXPIRY_HOURS, Levels};
use shared::services::Processor;
use shared::services::cron::expire_packages::PackageExpiringJob;
use shared::services::cron::{Run, TelecomCronExecutor};
use sqlx::PgPool;
use telecom_tests::{GIB, World, at, unreachable_publisher, user};

/// The end of a package of 30 days. Items become active at 2026-03-10T10:30:00Z.
const END: &str = "2026-04-09T10:30:00Z";

async fn run(world: &World) -> usize {
    run_of(&world.cron()).await
}

async fn run_of(jobs: &TelecomCronExecutor) -> usize {
    let report = jobs.process(PackageExpiringJob(Run::default())).await;
    report.unwrap().noticed
}

async fn run_at(world: &World, now: &str) -> usize {
    world.clock.set(at(now));
    run(world).await
}

/// The jobs of a deployment with other levels.
fn jobs_with(world: &World, hours: &[i16]) -> TelecomCronExecutor {
    let config = TelecomConfig {
        expiry_notice_hours: Levels::new(hours, &EXPIRY_HOURS).unwrap(),
        ..TelecomConfig::default()
    };
    let publisher = unreachable_publisher();
    TelecomCronExecutor::new(world.writer.clone(), publisher, world.context(), config)
}

/// A world in which user 1 has an active package of `days`.
async fn world_of(pool: PgPool, days: i64) -> World {
    let world = World::new(pool).await;
    let package = world.package(GIB, days).await;
    world.active_item(user(1), package).await;
    world
}

async fn notices(world: &World) -> Vec<Value> {
    let facts = world.facts().await.into_iter();
    facts
        .filter(|(kind, _)| kind == "PackageExpiringSoon")
        .map(|(_, detail)| detail)
        .collect()
}

/// The published levels with the ends that they were published for.
async fn published(world: &World) -> Vec<(i64, String)> {
    let level = |notice: &Value| {
        let end = notice["expires_at"].as_str().unwrap().to_owned();
        (notice["hours"].as_i64().unwrap(), end)
    };
    notices(world).await.iter().map(level).collect()
}

async fn levels(world: &World) -> Vec<i64> {
    let published = published(world).await.into_iter();
    published.map(|(hours, _)| hours).collect()
}

async fn end_moves_to(world: &World, end: &str) {
    let sql = format!("update telecom.package_queue set expires_at = '{end}'");
    world.sql(&sql).await;
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn each_level_is_published_once_when_it_is_reached(pool: PgPool) {
    let world = world_of(pool, 30).await;
    assert_eq!(run(&world).await, 0);
    assert_eq!(run_at(&world, "2026-04-06T10:29:59.999999Z").await, 0);
    assert_eq!(run_at(&world, "2026-04-06T10:30:00Z").await, 1);
    assert_eq!(run_at(&world, "2026-04-07T10:30:00Z").await, 0);
    assert_eq!(run_at(&world, "2026-04-08T10:30:00Z").await, 1);
    assert_eq!(run_at(&world, "2026-04-09T10:29:59Z").await, 0);
    let expected = [(72, END.to_owned()), (24, END.to_owned())];
    assert_eq!(published(&world).await, expected);
    let notice = &notices(&world).await[0];
    assert_eq!(notice["user"], user(1).to_string());
    assert_eq!(notice["version"], 1);
    let item = world.number("select id from telecom.package_queue").await;
    assert_eq!(notice["package_queue_id"], item);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn two_runs_at_once_publish_one_notice(pool: PgPool) {
    let world = world_of(pool, 30).await;
    world.clock.set(at("2026-04-06T10:30:00Z"));
    let (first, second) = tokio::join!(run(&world), run(&world));
    assert_eq!(first + second + run(&world).await, 1);
    assert_eq!(levels(&world).await, [72]);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_notice_is_marked_only_if_it_is_in_the_outbox(pool: PgPool) {
    let world = world_of(pool, 30).await;
    run(&world).await;
    world.clock.set(at("2026-04-06T10:30:00Z"));
    let rename = |from: &str, to: &str| format!("alter table telecom.{from} rename to {to}");
    world.sql(&rename("outbox", "away")).await;
    let failed = world
        .cron()
        .process(PackageExpiringJob(Run::default()))
        .await;
    assert!(failed.is_err());
    world.sql(&rename("away", "outbox")).await;
    // The publisher of this run is unreachable, as if the run were killed before it sends.
    assert_eq!(run(&world).await, 1);
    assert_eq!(levels(&world).await, [72]);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_later_end_arms_all_levels_again(pool: PgPool) {
    let world = world_of(pool, 30).await;
    run_at(&world, "2026-04-06T10:30:00Z").await;
    run_at(&world, "2026-04-08T10:30:00Z").await;
    end_moves_to(&world, "2026-04-19T10:30:00Z").await;
    assert_eq!(run(&world).await, 0);
    assert_eq!(run_at(&world, "2026-04-16T10:29:59Z").await, 0);
    assert_eq!(run_at(&world, "2026-04-16T10:30:00Z").await, 1);
    assert_eq!(run_at(&world, "2026-04-18T10:30:00Z").await, 1);
    assert_eq!(levels(&world).await, [72, 24, 72, 24]);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_later_end_within_a_level_is_published_at_once(pool: PgPool) {
    let world = world_of(pool, 30).await;
    run_at(&world, "2026-04-09T05:30:00Z").await;
    end_moves_to(&world, "2026-04-09T11:30:00Z").await;
    assert_eq!((run(&world).await, run(&world).await), (1, 0));
    let expected = [
        (24, END.to_owned()),
        (24, "2026-04-09T11:30:00Z".to_owned()),
    ];
    assert_eq!(published(&world).await, expected);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn the_same_or_an_earlier_end_arms_no_level_again(pool: PgPool) {
    let world = world_of(pool, 30).await;
    run_at(&world, "2026-04-06T10:30:00Z").await;
    end_moves_to(&world, END).await;
    assert_eq!(run(&world).await, 0);
    end_moves_to(&world, "2026-04-08T10:30:00Z").await;
    assert_eq!(run(&world).await, 0);
    // The levels below the published one follow the new end.
    assert_eq!(run_at(&world, "2026-04-07T10:30:00Z").await, 1);
    assert_eq!(levels(&world).await, [72, 24]);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn only_levels_shorter_than_the_whole_package_are_published(pool: PgPool) {
    let world = world_of(pool, 1).await;
    let three_days = world.package(GIB, 3).await;
    world.active_item(user(2), three_days).await;
    assert_eq!(run(&world).await, 0);
    assert_eq!(run_at(&world, "2026-03-11T10:00:00Z").await, 0);
    assert_eq!(run_at(&world, "2026-03-12T10:30:00Z").await, 1);
    assert_eq!(levels(&world).await, [24]);
    assert_eq!(notices(&world).await[0]["user"], user(2).to_string());
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn of_several_levels_passed_at_once_the_nearest_is_published(pool: PgPool) {
    let world = world_of(pool, 30).await;
    run(&world).await;
    assert_eq!(run_at(&world, "2026-04-09T09:30:00Z").await, 1);
    assert_eq!(run(&world).await, 0);
    assert_eq!(levels(&world).await, [24]);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn an_item_that_ends_or_is_used_up_gets_no_notice(pool: PgPool) {
    let world = world_of(pool, 30).await;
    let package = world.package(0, 30).await;
    world.active_item(user(2), package).await;
    assert_eq!(run_at(&world, END).await, 0);
    assert_eq!(levels(&world).await, Vec::<i64>::new());
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn the_next_item_of_a_user_gets_its_own_notices(pool: PgPool) {
    let world = world_of(pool, 30).await;
    let package = world.package(GIB, 10).await;
    world.waiting_item(user(1), package).await;
    world.clock.set(at(END));
    run(&world).await;
    assert_eq!(run(&world).await, 0);
    assert_eq!(run_at(&world, "2026-04-18T10:30:00Z").await, 1);
    assert_eq!(levels(&world).await, [24]);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn items_that_were_active_before_the_migration_get_notices(pool: PgPool) {
    let world = world_of(pool, 30).await;
    let undo = "drop function telecom.make_notice_due cascade;
        alter table telecom.package_queue
        drop column notice_due_at, drop column noticed_hours, drop column noticed_expires_at";
    sqlx::raw_sql(undo).execute(&world.pool).await.unwrap();
    let mut migrations = shared::db::MIGRATOR.iter();
    let migration = migrations
        .find(|migration| migration.description == "add expiry notices")
        .unwrap();
    let mut connection = world.pool.acquire().await.unwrap();
    sqlx::raw_sql(&migration.sql)
        .execute(&mut *connection)
        .await
        .unwrap();
    shared::db::grant(&mut connection).await.unwrap();
    assert_eq!(run_at(&world, "2026-04-06T10:30:00Z").await, 1);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn changed_levels_repeat_no_level_and_publish_lower_ones(pool: PgPool) {
    let world = world_of(pool, 30).await;
    run_at(&world, "2026-04-06T10:30:00Z").await;
    world.clock.set(at("2026-04-08T10:30:00Z"));
    // 72 hours were published, so 96 hours are passed, and the next level is 48 hours.
    assert_eq!(run_of(&jobs_with(&world, &[48, 72, 96])).await, 1);
    assert_eq!(run_of(&jobs_with(&world, &[48, 72, 96])).await, 0);
    assert_eq!(levels(&world).await, [72, 48]);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn without_levels_nothing_is_published_until_levels_are_set(pool: PgPool) {
    let world = world_of(pool, 30).await;
    world.clock.set(at("2026-04-08T10:30:00Z"));
    assert_eq!(run_of(&jobs_with(&world, &[])).await, 0);
    assert_eq!(run(&world).await, 1);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_locked_item_delays_no_other_notice(pool: PgPool) {
    let world = world_of(pool, 30).await;
    let package = world.package(GIB, 30).await;
    world.active_item(user(2), package).await;
    world.clock.set(at("2026-04-06T10:30:00Z"));
    let mut holder = world.pool.begin().await.unwrap();
    sqlx::query("select from telecom.package_queue where user_id = $1 for update")
        .bind(user(1))
        .execute(&mut *holder)
        .await
        .unwrap();
    assert_eq!(run(&world).await, 1);
    holder.rollback().await.unwrap();
    assert_eq!(run(&world).await, 1);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn notices_of_more_than_one_batch_are_published_in_one_run(pool: PgPool) {
    let world = World::new(pool).await;
    let package = world.package(GIB, 30).await;
    world
        .sql(&format!(
            "insert into telecom.package_queue (user_id, package_id, status, activated_at, \
             expires_at) select gen_random_uuid(), {package}, 'active', '2026-03-10 10:30Z', \
             '2026-04-09 10:30Z' from generate_series(1, 2001)"
        ))
        .await;
    assert_eq!(run_at(&world, "2026-04-06T10:30:00Z").await, 2_001);
    assert_eq!(run(&world).await, 0);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_run_without_time_leaves_notices_to_the_next_run(pool: PgPool) {
    let world = world_of(pool, 30).await;
    world.clock.set(at("2026-04-06T10:30:00Z"));
    let job = PackageExpiringJob(Run::within(Some(Duration::ZERO)));
    assert_eq!(world.cron().process(job).await.unwrap().noticed, 0);
    assert_eq!(run(&world).await, 1);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn charges_of_items_with_notices_stay_heap_only(pool: PgPool) {
    let world = world_of(pool, 30).await;
    run(&world).await;
    let mut tx = world.pool.begin().await.unwrap();
    sqlx::query(
        "update telecom.package_queue set upload_bytes = 1, download_bytes = 1,
            announced_percent = 50, expiring_event_at = null",
    )
    .execute(&mut *tx)
    .await
    .unwrap();
    let heap_only: i64 = sqlx::query_scalar(
        "select pg_stat_get_xact_tuples_hot_updated('telecom.package_queue'::regclass)",
    )
    .fetch_one(&mut *tx)
    .await
    .unwrap();
    assert_eq!(heap_only, 1);
}
