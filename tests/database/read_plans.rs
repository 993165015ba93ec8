//! Statements that read are planned for any parameters, and not anew for each call.

use shared::db::{self, queued_package};
use shared::domain::page::Page;
use shared::domain::queued_package::Filter;
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_read_is_planned_once_per_connection(pool: PgPool) {
    let one = PgPoolOptions::new().max_connections(1);
    let pool = one.connect_lazy_with((*pool.connect_options()).clone());
    for offset in 0..10 {
        let page = Page { limit: 50, offset };
        db::read_tx(&pool, async |tx| {
            queued_package::list(tx, Filter::default(), page).await
        })
        .await
        .unwrap();
    }
    let plans: (i64, i64) = sqlx::query_as(
        "select sum(generic_plans)::bigint, sum(custom_plans)::bigint from pg_prepared_statements
         where statement like '/* queued_package.%'",
    )
    .fetch_one(&pool)
    .await
    .unwrap();
    assert_eq!(plans, (20, 0), "generic and custom plans of two statements");
}
