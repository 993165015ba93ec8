//! What reads the metrics of the fleet does not read their history.

use sqlx::PgPool;
use telecom_tests::World;

use super::explain::plan;
use super::{check, vacuum};

/// 100 days of 200 clients by hour, and 100,000 billed reports before three that are not billed.
const DATA: &str = "
    insert into telecom.node_server (name, compatibility) select 's', 'ssp'
    from generate_series(1, 100);
    insert into telecom.node_usage_hourly
        select timestamptz '2026-01-01Z' + n / 200 * interval '1 hour', 1 + n % 100, 1 + n % 200,
            1, 1, 1, 1 from generate_series(0, 479999) n;
    insert into telecom.node_usage_hourly
        select timestamptz '2026-01-01Z' + n * interval '1 hour', null, null, 1, 1, 1, 1
        from generate_series(0, 2399) n;
    insert into telecom.usage_report (report_id, node_server_id, period_start, period_end,
        payload_hash, line_count, received_at, billing_run_id)
        select gen_random_uuid(), 1, '2026-03-01Z', '2026-03-01Z', '', 1, '2026-03-01Z',
            case when n <= 100000 then gen_random_uuid() end from generate_series(1, 100003) n;";

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn the_metrics_of_the_fleet_are_read_without_their_history(pool: PgPool) {
    let world = World {
        pool,
        ..World::offline()
    };
    sqlx::raw_sql(DATA).execute(&world.pool).await.unwrap();
    vacuum(&world).await;
    let tables = ["node_usage_hourly", "usage_report", "package_queue"];
    let hours = "'2026-04-10 09:00Z', '2026-04-10 10:00Z', '2026-04-12 10:00Z'";
    for (name, arguments, most_rows) in [
        // 15 hours of 200 clients and of all together.
        ("fleet_metrics.usage_by_server", hours, 15.0 * 201.0),
        ("fleet_metrics.numbers", "'2026-04-10 09:57Z'", 101.0),
    ] {
        let plan = plan(&world, name, arguments).await;
        check(name, arguments, &plan, most_rows, &tables);
    }
}
