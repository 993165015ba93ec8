//! Constraints refuse rows, written by hand or by another program, that could block the processing
//! of other rows.

use rstest::rstest;
use sqlx::PgPool;
use telecom_tests::{GIB, World, user};

/// The name of the constraint that refuses `sql`.
async fn refused_by(world: &World, sql: &str) -> String {
    let error = sqlx::query(sql).execute(&world.pool).await.unwrap_err();
    let error = error.into_database_error().unwrap();
    error
        .constraint()
        .unwrap_or_else(|| panic!("{sql}: {error}"))
        .to_owned()
}

#[rstest]
#[case::package_limit(
    "update telecom.package set traffic_limit_bytes = 9223372036854775807",
    "package_traffic_limit_bytes_range_check"
)]
#[case::quota_adjustment(
    "update telecom.package_queue set adjust_quota_bytes = 9223372036854775807",
    "package_queue_adjust_quota_range_check"
)]
#[case::counter(
    "update telecom.package_queue set upload_bytes = 9223372036854775807",
    "package_queue_counters_range_check"
)]
#[case::infinity(
    "update telecom.package_queue set expires_at = 'infinity'",
    "package_queue_times_range_check"
)]
#[case::year_200000(
    "update telecom.package_queue set expires_at = '200000-01-01'",
    "package_queue_times_range_check"
)]
#[case::minus_infinity(
    "update telecom.package_queue set created_at = '-infinity'",
    "package_queue_times_range_check"
)]
#[case::owner(
    "update telecom.package_queue set user_id = gen_random_uuid()",
    "package_queue_owner_check"
)]
#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn row_that_would_block_other_rows_is_refused(
    #[ignore] pool: PgPool,
    #[case] sql: &str,
    #[case] constraint: &str,
) {
    let world = World::new(pool).await;
    world
        .active_item(user(1), world.package(GIB, 30).await)
        .await;
    assert_eq!(refused_by(&world, sql).await, constraint);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn usage_is_recorded_after_an_owner_change_without_the_trigger(pool: PgPool) {
    let world = World::new(pool).await;
    world
        .active_item(user(1), world.package(GIB, 30).await)
        .await;
    let body = |id| {
        let report = telecom_tests::report::report(id, &[(user(1), 1, 0), (user(2), 1, 0)]);
        telecom_tests::report::texts(&[report])
    };
    assert!(world.report(&body(1)).await.is_empty());
    world.deliver_all().await;
    world
        .sql("alter table telecom.package_queue disable trigger package_queue_owner_trigger")
        .await;
    world
        .sql(&format!(
            "update telecom.package_queue set user_id = '{}'",
            user(2)
        ))
        .await;
    assert!(world.report(&body(2)).await.is_empty());
    world.deliver_all().await;
    assert_eq!(
        (world.usage(user(1)).await[0], world.usage(user(2)).await[0]),
        (2, 2)
    );
}
