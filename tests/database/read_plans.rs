//! Statements that read are planned for any parameters, and not anew for each call.

use shared::db::{self, billing, queued_package};
use shared::domain::page::Page;
use shared::domain::queued_package::Filter;
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;

/// A pool with a single connection.
fn one_connection(pool: &PgPool) -> PgPool {
    let one = PgPoolOptions::new().max_connections(1);
    one.connect_lazy_with((*pool.connect_options()).clone())
}

/// How often statements whose text begins with `name` ran with a plan for any parameters, and with
/// a plan for the given ones.
async fn generic_and_custom_plans(pool: &PgPool, name: &str) -> (i64, i64) {
    sqlx::query_as(
        "select sum(generic_plans)::bigint, sum(custom_plans)::bigint from pg_prepared_statements
         where starts_with(statement, '/* ' || $1)",
    )
    .bind(name)
    .fetch_one(pool)
    .await
    .unwrap()
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_read_is_planned_once_per_connection(pool: PgPool) {
    let pool = one_connection(&pool);
    for offset in 0..10 {
        let page = Page { limit: 50, offset };
        db::read_tx(&pool, async |tx| {
            queued_package::list(tx, Filter::default(), page).await
        })
        .await
        .unwrap();
    }
    let plans = generic_and_custom_plans(&pool, "queued_package.").await;
    assert_eq!(plans, (20, 0), "generic and custom plans of two statements");
}

/// For the given reports, PostgreSQL would read all usage of a day that it has not analyzed yet.
#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn the_usage_of_reports_is_read_with_a_plan_for_any_reports(pool: PgPool) {
    let pool = one_connection(&pool);
    for _ in 0..3 {
        db::write_tx(&pool, "bill", async |tx| billing::fold_usage(tx, &[]).await)
            .await
            .unwrap();
    }
    let plans = generic_and_custom_plans(&pool, "billing.fold_usage").await;
    assert_eq!(plans, (3, 0), "generic and custom plans");
}
