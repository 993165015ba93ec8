//! What answers administrators' questions about traffic reads by index, and from sums.

use sqlx::PgPool;
use telecom_tests::World;

use super::explain::plan;
use super::{check, vacuum};

/// 100 days of 5,000 users on two clients each, and of 50 clients by hour. All days before the
/// last one are summed. Each user has an hour on the last day.
const DATA: &str = "
    insert into telecom.user_usage_daily
        select md5((n % 5000)::text)::uuid, date '2026-01-01' + n / 10000, 1, 1 + n % 2, 1, 1, 1, 1
        from generate_series(0, 999999) n
        on conflict do nothing;
    insert into telecom.user_package_usage
        select md5((n % 5000)::text)::uuid, timestamptz '2026-04-10Z' + n / 5000
            * interval '1 hour', 1, 1, null, 1, 1, 1, 1 from generate_series(0, 49999) n;
    update telecom.usage_summary set days_closed_before = '2026-04-10',
        days_summed_before = '2026-04-10';
    insert into telecom.node_usage_hourly
        select timestamptz '2026-01-01Z' + n / 50 * interval '1 hour', 1 + n % 10, 1 + n % 50, 1, 1,
            1, 1 from generate_series(0, 119999) n;
    insert into telecom.node_usage_hourly
        select timestamptz '2026-01-01Z' + n * interval '1 hour', null, null, 1, 1, 1, 1
        from generate_series(0, 2399) n;
    insert into telecom.node_usage_daily
        select (bucket_start at time zone 'UTC')::date, node_server_id, node_client_id, 24, 24, 24,
            24 from telecom.node_usage_hourly where node_server_id is not null
        on conflict do nothing;
    insert into telecom.top_user
        select r, md5(n::text)::uuid, n, n, 1, 1, 1, 1
        from generate_series(1, 1000) n, unnest(array['day', 'week', 'month']) r;";
const TABLES: [&str; 4] = [
    "user_usage_daily",
    "user_package_usage",
    "node_usage_hourly",
    "node_usage_daily",
];

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn traffic_is_read_by_index_from_sums(pool: PgPool) {
    let world = World {
        pool,
        ..World::offline()
    };
    sqlx::raw_sql(DATA).execute(&world.pool).await.unwrap();
    vacuum(&world).await;
    let days = "'2026-01-01Z', '2026-04-11Z', '{2026-01-01Z, 2026-02-01Z, 2026-04-11Z}'";
    let user = "md5('7')::uuid";
    for (source, user, server, client, most_rows) in [
        // Two clients on each of 99 days, and ten hours.
        ("user_days", user, "null", "null", 250.0),
        ("user_hours", user, "null", "null", 50.0),
        ("total", "null", "null", "null", 2_500.0),
        ("server", "null", "7", "null", 12_500.0),
        ("client", "null", "null", "7", 2_500.0),
        ("nodes", "null", "null", "null", 121_000.0),
    ] {
        let arguments = format!("'{source}', {user}, {server}, {client}, {days}, 'none', 1000, 0");
        let plan = plan(&world, "traffic_usage.find", &arguments).await;
        check("traffic_usage.find", &arguments, &plan, most_rows, &TABLES);
    }
    for (name, arguments, most_rows) in [
        ("top_user.by_billed", "'week', 20", 20.0),
        ("top_user.by_raw", "'week', 20", 20.0),
        (
            "traffic_usage.find_top_nodes",
            "'node_hours', null, '2026-04-10Z', '2026-04-11Z', true, false, 20",
            2_500.0,
        ),
        (
            "traffic_usage.find_top_nodes",
            "'node_days', null, '2026-03-12Z', '2026-04-11Z', true, false, 20",
            2_500.0,
        ),
        (
            "traffic_usage.find_top_nodes",
            "'node_days', null, '2025-04-12Z', '2026-04-11Z', true, false, 20",
            5_100.0,
        ),
        (
            "traffic_usage.find_top_nodes",
            "'user_hours', md5('7')::uuid, '2026-04-10Z', '2026-04-11Z', true, false, 20",
            50.0,
        ),
        // Two clients on each of 99 days, and ten hours.
        (
            "traffic_usage.find_top_nodes",
            "'user_days', md5('7')::uuid, '2025-04-12Z', '2026-04-11Z', true, false, 20",
            250.0,
        ),
    ] {
        let plan = plan(&world, name, arguments).await;
        check(name, arguments, &plan, most_rows, &TABLES);
    }
}
