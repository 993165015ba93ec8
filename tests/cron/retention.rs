//! No table grows for ever without a reason: each has a line in the documentation, and the jobs do what it says.

use std::collections::BTreeSet;

use chrono::TimeDelta;
use shared::services::Processor;
use shared::services::cron::Run;
use shared::services::cron::maintain_storage::MaintainStorageJob;
use shared::services::cron::refresh_node_status_view::RefreshNodeStatusViewJob;
use sqlx::PgPool;
use telecom_tests::{NOW, World, at};

/// The tables named in the first column of the table of retention.
fn documented() -> BTreeSet<String> {
    let page = include_str!("../../docs/OPERATIONS.md");
    let (_, section) = page.split_once("\n## Retention\n").unwrap();
    let section = section.split("\n## ").next().unwrap();
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    rows.map(str::to_owned).collect()
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn every_table_is_in_the_documentation_of_retention(pool: PgPool) {
    let tables: Vec<String> = sqlx::query_scalar(
        "select relname::text from pg_class where relnamespace = 'telecom'::regnamespace
            and relkind in ('r', 'p', 'm') and not relispartition",
    )
    .fetch_all(&pool)
    .await
    .unwrap();
    assert_eq!(documented(), tables.into_iter().collect());
}

/// A row each that is older than any retention, and one that is not.
const ROWS: &str = "
    insert into telecom.usage_report (report_id, node_server_id, period_start, period_end, payload_hash, line_count, received_at)
        select gen_random_uuid(), 1, t, t, '', 0, t from t;
    insert into telecom.billing_batch (id, payload_hash, event_count, applied_at) select gen_random_uuid(), '', 1, t from t;
    insert into telecom.user_package_usage select gen_random_uuid(), t, 1, null, null, 1, 1, 1, 1 from t;
    insert into telecom.node_status_history (node_server_id, status, created_at) select 1, 'online', t from t;
    insert into telecom.node_status_transition (node_server_id, to_status, since, until, detected_at) select 1, 'online', t, t, t from t;
    insert into telecom.collection_outage (since, until) select t, t from t;";
const CLEANED: [&str; 6] = [
    "usage_report",
    "billing_batch",
    "user_package_usage",
    "node_status_history",
    "node_status_transition",
    "collection_outage",
];

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn the_jobs_forget_what_is_past_its_retention_and_nothing_else(pool: PgPool) {
    let world = World::new(pool).await;
    let moments = format!(
        "create table public.t as select unnest(array['{NOW}', '{}']::timestamptz[]) as t",
        at(NOW) - TimeDelta::days(401)
    );
    world.sql(&moments).await;
    sqlx::raw_sql(&ROWS.replace("from t;", "from public.t;")).execute(&world.pool).await.unwrap();
    let maintained = world.cron().process(MaintainStorageJob(Run::default())).await.unwrap();
    let refreshed = world.cron().process(RefreshNodeStatusViewJob(Run::default())).await.unwrap();
    assert_eq!((maintained.reports_deleted, maintained.batches_deleted, maintained.usage_deleted), (1, 1, 1));
    assert_eq!((refreshed.snapshots_deleted, refreshed.transitions_deleted, refreshed.complete), (1, 2, true));
    for table in CLEANED {
        let left: i64 =
            sqlx::query_scalar(&format!("select count(*) from telecom.{table}")).fetch_one(&world.pool).await.unwrap();
        assert_eq!(left, 1, "{table}");
    }
}
