//! Each reported byte is billed once, by the factor of the client that carried it.

use std::time::Duration;

use serde_json::json;
use shared::services::Processor;
use shared::services::cron::Run;
use shared::services::cron::bill_traffic::BillTrafficJob;
use sqlx::PgPool;
use telecom_tests::report::{report, report_of, texts, with};
use telecom_tests::{GIB, NOW, World, at, user};
use uuid::Uuid;

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn billed_is_raw_times_factor_rounded_half_away_from_zero(pool: PgPool) {
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
        assert!(
            world
                .report(&texts(&[with(
                    body,
                    "/usage/0/node_client_id",
                    json!(client)
                )]))
                .await
                .is_empty()
        );
    }
    world.settle().await;
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
async fn rounding_is_done_once_a_run_not_once_a_line(pool: PgPool) {
    let world = World::new(pool).await;
    world.server(2, &[(21, "0.5")]).await;
    let bodies: Vec<_> = (1..=4)
        .map(|id| report_of(id, 2, at(NOW), &[(user(1), 1, 0)]))
        .collect();
    assert!(world.report(&texts(&bodies)).await.is_empty());
    world.settle().await;
    assert_eq!(world.usage(user(1)).await, [4, 0, 2, 0]);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn the_factor_is_the_one_of_the_moment_the_report_arrived(pool: PgPool) {
    let world = World::new(pool).await;
    assert!(
        world
            .report(&texts(&[report(1, &[(user(1), 10, 0)])]))
            .await
            .is_empty()
    );
    world
        .sql("update telecom.node_client set traffic_factor = 2")
        .await;
    assert!(
        world
            .report(&texts(&[report(2, &[(user(1), 10, 0)])]))
            .await
            .is_empty()
    );
    world.settle().await;
    assert_eq!(world.usage(user(1)).await, [20, 0, 30, 0]);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_line_without_a_client_goes_by_the_servers_oldest_and_without_any_by_factor_one(
    pool: PgPool,
) {
    let world = World::new(pool).await;
    world.server(2, &[(31, "2"), (30, "0.5")]).await;
    world.server(3, &[]).await;
    let bodies = [
        report_of(1, 2, at(NOW), &[(user(1), 10, 0)]),
        report_of(2, 3, at(NOW), &[(user(2), 10, 0)]),
    ];
    assert!(world.report(&texts(&bodies)).await.is_empty());
    world.settle().await;
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
async fn a_period_that_ends_on_the_hour_belongs_to_the_hour_before(pool: PgPool) {
    let world = World::new(pool).await;
    let bodies = [
        report_of(1, 1, at("2026-03-10T10:00:00Z"), &[(user(1), 1, 0)]),
        report_of(2, 1, at("2026-03-10T10:00:00.000001Z"), &[(user(1), 10, 0)]),
    ];
    assert!(world.report(&texts(&bodies)).await.is_empty());
    world.settle().await;
    let at_nine = "select sum(raw_upload_bytes)::bigint from telecom.user_package_usage \
        where bucket_start = '2026-03-10 09:00Z'";
    assert_eq!(world.number(at_nine).await, 1);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn jobs_at_once_and_again_bill_each_report_once(pool: PgPool) {
    let world = World::new(pool).await;
    world
        .active_item(user(1), world.package(GIB, 30).await)
        .await;
    let bodies: Vec<_> = (1..=300).map(|id| report(id, &[(user(1), 1, 2)])).collect();
    assert!(world.report(&texts(&bodies)).await.is_empty());
    let (a, b, c) = tokio::join!(world.bill(), world.bill(), world.bill());
    assert_eq!(a.reports + b.reports + c.reports, 300);
    assert_eq!(world.bill().await.reports, 0);
    world.settle().await;
    assert_eq!(world.items(user(1)).await, [("active".into(), 300, 600)]);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn reports_that_together_exceed_what_can_be_counted_are_billed_apart(pool: PgPool) {
    let world = World::new(pool).await;
    world.server(2, &[(21, "100")]).await;
    // Each 2^53 bytes × 100: eleven of them are more than an i64 holds.
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
    assert!(world.report(&texts(&bodies)).await.is_empty());
    let billed = world.bill().await;
    assert_eq!((billed.reports, billed.complete), (11, true));
    let messages = world.take_outbox("user_usage_billing").await;
    assert!(messages.len() > 1, "split into {} messages", messages.len());
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn what_could_not_be_sent_stays_in_the_outbox(pool: PgPool) {
    let world = World::new(pool).await;
    assert!(
        world
            .report(&texts(&[report(1, &[(user(1), 10, 0)])]))
            .await
            .is_empty()
    );
    world.bill().await;
    assert_eq!(
        world
            .number("select count(*) from telecom.outbox where last_error is not null")
            .await,
        1
    );
    world.settle().await;
    assert_eq!(world.usage(user(1)).await[2], 10);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_database_too_slow_for_a_whole_claim_bills_a_smaller_one(pool: PgPool) {
    let world = World::new(pool).await;
    let lines: Vec<(Uuid, i64, i64)> = (0..1_000).map(|n| (user(n), 1, 1)).collect();
    let reports: Vec<_> = (0..40).map(|id| report(id, &lines)).collect();
    assert!(world.report(&texts(&reports)).await.is_empty());
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
    // The nine of the first claim take 3 s, which is more than a third of the time for work.
    let run = Run::within(Some(Duration::from_secs(13)));
    let billed = world.cron().process(BillTrafficJob(run)).await.unwrap();
    assert!(billed.reports > 0, "{billed:?}");
}
