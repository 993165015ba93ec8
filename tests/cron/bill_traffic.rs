//! Each reported byte is billed once, at the factor of its client.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::json;
use shared::services::Processor;
use shared::services::cron::Run;
use shared::services::cron::bill_traffic::BillTrafficJob;
use sqlx::PgPool;
use telecom_tests::report::{report, report_of, texts, with};
use telecom_tests::{GIB, NOW, World, at, user};
use tracing::Subscriber;
use tracing::span::Id;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::Registry;
use uuid::Uuid;

/// Delivers report bodies and asserts that no message failed.
pub(super) async fn assert_all_accepted(world: &World, bodies: &[String]) {
    assert_eq!(world.report(bodies).await, Vec::<String>::new());
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn billed_bytes_are_raw_times_factor_rounded_half_away_from_zero(pool: PgPool) {
    let world = World::new(pool).await;
    world
        .server(
            2,
            &[
                (20, "0"),
                (21, "0.5"),
                (22, "1.5"),
                (23, "2"),
                (24, "0.3333"),
            ],
        )
        .await;
    for (n, client) in (20..25).enumerate() {
        let body = report_of(
            u128::from(n as u64) + 1,
            2,
            at(NOW),
            &[(user(n as u128), 3, 1)],
        );
        assert_all_accepted(
            &world,
            &texts(&[with(body, "/usage/0/node_client_id", json!(client))]),
        )
        .await;
    }
    world.deliver_all().await;
    let mut usage = Vec::new();
    for n in 0..5 {
        usage.push(world.usage(user(n)).await);
    }
    assert_eq!(
        usage,
        [
            [3, 1, 0, 0],
            [3, 1, 2, 1],
            [3, 1, 5, 2],
            [3, 1, 6, 2],
            [3, 1, 1, 0]
        ]
    );
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn rounding_is_done_once_per_run_and_not_per_line(pool: PgPool) {
    let world = World::new(pool).await;
    world.server(2, &[(21, "0.5")]).await;
    let bodies: Vec<_> = (1..=4)
        .map(|id| report_of(id, 2, at(NOW), &[(user(1), 1, 0)]))
        .collect();
    assert_all_accepted(&world, &texts(&bodies)).await;
    world.deliver_all().await;
    assert_eq!(world.usage(user(1)).await, [4, 0, 2, 0]);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn usage_is_billed_at_the_factor_when_its_report_arrived(pool: PgPool) {
    let world = World::new(pool).await;
    assert_all_accepted(&world, &texts(&[report(1, &[(user(1), 10, 0)])])).await;
    world
        .sql("update telecom.node_client set traffic_factor = 2")
        .await;
    assert_all_accepted(&world, &texts(&[report(2, &[(user(1), 10, 0)])])).await;
    world.deliver_all().await;
    assert_eq!(world.usage(user(1)).await, [20, 0, 30, 0]);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn line_without_a_client_uses_the_factor_of_the_oldest_client_or_one(pool: PgPool) {
    let world = World::new(pool).await;
    world.server(2, &[(31, "2"), (30, "0.5")]).await;
    world.server(3, &[]).await;
    let bodies = [
        report_of(1, 2, at(NOW), &[(user(1), 10, 0)]),
        report_of(2, 3, at(NOW), &[(user(2), 10, 0)]),
    ];
    assert_all_accepted(&world, &texts(&bodies)).await;
    world.deliver_all().await;
    assert_eq!(
        (world.usage(user(1)).await[2], world.usage(user(2)).await[2]),
        (5, 10)
    );
    assert_eq!(
        world
            .number(
                "select node_client_id::bigint from telecom.user_package_usage \
            where node_server_id = 2"
            )
            .await,
        30
    );
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn period_that_ends_on_the_hour_belongs_to_the_previous_hour(pool: PgPool) {
    let world = World::new(pool).await;
    let bodies = [
        report_of(1, 1, at("2026-03-10T10:00:00Z"), &[(user(1), 1, 0)]),
        report_of(2, 1, at("2026-03-10T10:00:00.000001Z"), &[(user(1), 10, 0)]),
    ];
    assert_all_accepted(&world, &texts(&bodies)).await;
    world.deliver_all().await;
    let at_nine = "select sum(raw_upload_bytes)::bigint from telecom.user_package_usage \
        where bucket_start = '2026-03-10 09:00Z'";
    assert_eq!(world.number(at_nine).await, 1);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn concurrent_and_repeated_jobs_bill_each_report_once(pool: PgPool) {
    let world = World::new(pool).await;
    world
        .active_item(user(1), world.package(GIB, 30).await)
        .await;
    let bodies: Vec<_> = (1..=300).map(|id| report(id, &[(user(1), 1, 2)])).collect();
    assert_all_accepted(&world, &texts(&bodies)).await;
    let (a, b, c) = tokio::join!(world.bill(), world.bill(), world.bill());
    assert_eq!(a.reports + b.reports + c.reports, 300);
    assert_eq!(world.bill().await.reports, 0);
    world.deliver_all().await;
    assert_eq!(world.items(user(1)).await, [("active".into(), 300, 600)]);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn reports_whose_sum_would_overflow_are_billed_in_several_messages(pool: PgPool) {
    let world = World::new(pool).await;
    world.server(2, &[(21, "100")]).await;
    // Each report is billed as 2^53 bytes × 100. The sum of eleven reports exceeds an i64.
    let lines: Vec<_> = (0..8).map(|_| (user(1), 1_i64 << 50, 0)).collect();
    let month = json!("2026-02-08T00:00:00Z");
    let body = |id| {
        with(
            report_of(id, 2, at(NOW), &lines),
            "/period_start",
            month.clone(),
        )
    };
    let bodies: Vec<_> = (1..=11).map(body).collect();
    assert_all_accepted(&world, &texts(&bodies)).await;
    let billed = world.bill().await;
    assert_eq!((billed.reports, billed.complete), (11, true));
    let messages = world.take_outbox("user_usage_billing").await;
    assert!(messages.len() > 1, "split into {} messages", messages.len());
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn message_that_could_not_be_sent_stays_in_the_outbox(pool: PgPool) {
    let world = World::new(pool).await;
    assert_all_accepted(&world, &texts(&[report(1, &[(user(1), 10, 0)])])).await;
    world.bill().await;
    assert_eq!(
        world
            .number("select count(*) from telecom.outbox where last_error is not null")
            .await,
        1
    );
    world.deliver_all().await;
    assert_eq!(world.usage(user(1)).await[2], 10);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn job_bills_a_smaller_claim_if_the_database_is_slow(pool: PgPool) {
    let world = World::new(pool).await;
    let lines: Vec<(Uuid, i64, i64)> = (0..1_000).map(|n| (user(n), 1, 1)).collect();
    let reports: Vec<_> = (0..40).map(|id| report(id, &lines)).collect();
    assert_all_accepted(&world, &texts(&reports)).await;
    world
        .sql(
            "create function telecom.slow() returns trigger language plpgsql as
             $$ begin perform pg_sleep(0.35); return new; end $$",
        )
        .await;
    world
        .sql(
            "create trigger slow before update \
            on telecom.usage_report for each row execute function telecom.slow()",
        )
        .await;
    // The nine reports of the first claim take 3 s, more than a third of the time for work.
    let run = Run::within(Some(Duration::from_secs(13)));
    let billed = world.cron().process(BillTrafficJob(run)).await.unwrap();
    assert!(billed.reports > 0, "{billed:?}");
}

/// Counts how often spans are entered.
#[derive(Debug, Clone, Default)]
struct Entries(Arc<AtomicUsize>);

impl<S: Subscriber> Layer<S> for Entries {
    fn on_enter(&self, _: &Id, _: Context<'_, S>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn no_span_is_entered_for_each_row_that_is_billed(pool: PgPool) {
    const LINES: u16 = 3_000;
    let world = World::new(pool).await;
    let lines: Vec<_> = (0..u128::from(LINES)).map(|n| (user(n), 1, 0)).collect();
    assert_all_accepted(&world, &texts(&[report(1, &lines)])).await;
    let entries = Entries::default();
    let subscriber = Registry::default().with(entries.clone());
    let guard = tracing::subscriber::set_default(subscriber);
    assert_eq!(world.bill().await.events, usize::from(LINES));
    drop(guard);
    let entries = entries.0.load(Ordering::Relaxed);
    assert!((1..usize::from(LINES)).contains(&entries), "{entries}");
}
