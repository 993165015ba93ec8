//! Explanations of usage read the reports of one hour by index, however many reports are kept.

use sqlx::PgPool;
use telecom_tests::World;

use super::explain::plan;
use super::{check, vacuum};

/// Ten days of 20 servers with a report per server and minute of ten lines, a hundred users with a
/// row of usage per hour, and a correction of every tenth row.
const DATA: &str = "
    select telecom.create_traffic_usage_partitions('2026-03-01', 11);
    insert into telecom.node_server (name, compatibility) select 's', 'ssp'
        from generate_series(1, 20);
    insert into telecom.usage_report (report_id, node_server_id, period_start, period_end,
        payload_hash, line_count, received_at, billing_run_id)
        select md5(s || ' ' || m)::uuid, s, at, at + interval '1 minute', '', 10,
            at + interval '61 seconds', md5(m::text)::uuid
        from generate_series(1, 20) s, generate_series(0, 14399) m,
            lateral (select timestamptz '2026-03-01Z' + m * interval '1 minute') t (at);
    insert into telecom.traffic_usage (usage_report_seq, received_at, upload_bytes, download_bytes,
        user_id, node_client_id, traffic_factor)
        select seq, received_at, 1, 1, md5((10 * (node_server_id % 10) + n)::text)::uuid, 1, 2.5
        from telecom.usage_report, generate_series(0, 9) n
        where received_at < '2026-03-04Z';
    insert into telecom.user_package_usage
        select md5(u::text)::uuid, timestamptz '2026-03-01Z' + h * interval '1 hour', s, 1, u, 60,
            60, 150, 150
        from generate_series(0, 99) u, generate_series(0, 239) h,
            lateral (values (1 + (u / 10 + 9) % 10), (11 + (u / 10 + 9) % 10)) t (s);
    insert into telecom.usage_correction (user_id, bucket_start, node_server_id, node_client_id,
        package_queue_id, billed_upload_bytes, billed_download_bytes, corrected_at, actor_user_id,
        reason)
        select user_id, bucket_start, node_server_id, node_client_id, package_queue_id, 1, 1,
            bucket_start, user_id, 'r'
        from telecom.user_package_usage where extract(hour from bucket_start) % 10 = 0;
    insert into telecom.package (series, version, name, available_group, max_client_number,
        expire_duration_seconds)
        values (gen_random_uuid(), 1, 'p', 1, 1, 86400);
    insert into telecom.package_queue (id, user_id, package_id, created_at)
        overriding system value
        select u, md5(u::text)::uuid, 1, now() from generate_series(0, 99) u;";
const TABLES: [&str; 4] = [
    "usage_report",
    "traffic_usage",
    "user_package_usage",
    "usage_correction",
];

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn explanations_read_the_reports_of_one_hour_by_index(pool: PgPool) {
    let world = World {
        pool,
        ..World::offline()
    };
    sqlx::raw_sql(DATA).execute(&world.pool).await.unwrap();
    vacuum(&world).await;
    let (user, hour) = ("md5('7')::uuid", "'2026-03-02 10:00Z'");
    for (name, arguments, most_rows) in [
        // Two servers with 61 reports of ten lines that end in the hour or at its start.
        (
            "usage_explanation.parts",
            format!("{user}, {hour}, 100, 0, 20"),
            1_300.0,
        ),
        (
            "usage_explanation.rows_of_hour",
            format!("{user}, {hour}"),
            10.0,
        ),
        (
            "usage_explanation.rows_of_item",
            format!("7, {user}, 100, 0"),
            500.0,
        ),
        ("usage_explanation.item_sums", "7".to_owned(), 500.0),
        (
            "usage_correction.find",
            "null, 10000, 50, 100".to_owned(),
            10_000.0,
        ),
        (
            "usage_correction.find",
            "md5('7')::uuid, 10000, 50, 0".to_owned(),
            1_000.0,
        ),
        ("usage_correction.show", "'{1,2,3,7000}'".to_owned(), 10.0),
        (
            "usage_correction.of_hour",
            format!("{user}, {hour}, 1000"),
            10.0,
        ),
    ] {
        let plan = plan(&world, name, &arguments).await;
        check(name, &arguments, &plan, most_rows, &TABLES);
    }
}
