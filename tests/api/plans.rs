//! The APIs read by index and by page. The plans are checked on a data set large enough to matter
//! to the planner.

mod analytics;
mod explain;
mod explanations;
mod fleet_metrics;
mod online;
mod operation_manage;
mod webhooks;

use serde_json::Value;
use sqlx::PgPool;
use telecom_tests::World;

use explain::{explain, plan};

/// 3,000 servers, 9,000 clients, 40,000 users with 120,000 items, 200,000 rows of usage, 300,000
/// rows of status and 100,000 hours of metrics.
const DATA: &str = "
    insert into telecom.node_server (name, compatibility, status)
        select 's', 'ssp', case when n % 50 = 0 then 'maintenance'
        else 'online' end::telecom.node_server_status from generate_series(1, 3000) n;
    insert into telecom.node_client (node_server_id, name, country, access_groups)
        select 1 + n % 3000, 'c', 'DE', array[n % 100] from generate_series(1, 9000) n;
    insert into telecom.node_server_heartbeat (node_server_id, last_online_at) select id, now()
    from telecom.node_server where id > 1;
    insert into telecom.package (series, version, name, available_group, max_client_number,
    expire_duration_seconds, traffic_limit_bytes)
        select md5((n % 50)::text)::uuid, n, 'p', n % 100, 1, 86400, 1000 from generate_series(1,
        200) n;
    insert into telecom.package_queue (user_id, package_id, by_order, status, activated_at,
    expires_at, ended_at, end_reason)
        select md5((n % 40000)::text)::uuid, 1 + n % 200, md5('o' || n)::uuid,
            (array['active', 'consumed', 'in_queue'])[1 + n / 40000]::telecom.package_queue_status,
            case when n < 80000 then now() end, case when n < 80000 then now() end,
            case when n between 40000 and 79999 then now() end, case when n between 40000
            and 79999 then 'time'::telecom.package_end_reason end
        from generate_series(0, 119999) n;
    insert into telecom.user_package_usage
        select md5((n % 40000)::text)::uuid,
        timestamptz '2026-03-01Z' + n / 40000 * interval '1 hour', 1, 1 + n % 9000, null, 1, 1, 1, 1
        from generate_series(0, 199999) n;
    insert into telecom.node_status_history (node_server_id, status, created_at)
        select s, 'online', timestamptz '2026-03-01Z' + h * interval '1 hour'
        from generate_series(1, 3000) s, generate_series(0, 99) h;
    insert into telecom.node_server_metrics_hourly
        select s, timestamptz '2026-03-01Z' + h * interval '1 hour', 1, 0, 0, null, 0, 0, null,
            null, 0, 0, null, null, 0, 0, null, 0, 0, null, 0, 0, null, 0, 0, null
        from generate_series(1, 1000) s, generate_series(0, 99) h;
    insert into telecom.node_status_transition (node_server_id, to_status, since, until,
    detected_at)
        select s, 'online', timestamptz '2026-03-01Z' + i * interval '1 hour',
        timestamptz '2026-03-01Z' + (i + 1) * interval '1 hour', now()
        from generate_series(1, 3000) s, generate_series(0, 49) i;
    update telecom.node_status_seal set open_from = '2026-03-04';
    refresh materialized view telecom.node_status_hourly_mv;";

/// Names of statements in the committed query checks, arguments, the maximum number of rows that
/// any step of the plan may touch, and the tables that must not be read in full.
const STATEMENTS: [(&str, &str, f64, &[&str]); 23] = [
    (
        "node_metrics.hours",
        "7, '2026-03-01Z', '2026-03-02Z'",
        24.0,
        &["node_server_metrics_hourly"],
    ),
    (
        "analysis.usage_by_bucket",
        "'USER', '{2026-03-01Z,2026-03-02Z}', '2026-03-01Z', '2026-03-02Z'",
        100.0,
        &BIG,
    ),
    (
        "analysis.node_status_hours",
        "'USER', '2026-03-01Z', '2026-03-01 03:00Z'",
        9_100.0,
        &BIG,
    ),
    (
        "analysis.usually_used_nodes",
        "'USER', '2026-03-01Z', '2026-03-31Z', 20",
        300.0,
        &BIG,
    ),
    ("analysis.user_nodes", "'USER', 1000, 0", 400.0, &BIG),
    ("analysis.count_user_nodes", "'USER'", 400.0, &BIG),
    ("fleet.list_servers", "null, 50, 100, false", 200.0, &FLEET),
    (
        "fleet.list_servers",
        "'online', 50, 100, false",
        200.0,
        &FLEET,
    ),
    (
        "fleet.list_servers",
        "'maintenance', 50, 0, true",
        200.0,
        &FLEET,
    ),
    ("fleet.list_servers", "'offline', 50, 0, false", 0.0, &FLEET),
    ("fleet.count_servers", "'maintenance', false", 60.0, &FLEET),
    (
        "node_status_history.user_clients",
        "'USER', 1000",
        400.0,
        &BIG,
    ),
    (
        "node_status_history.status_times",
        "7, null, '2026-03-01Z', '2026-03-31Z', '{2026-03-01Z, 2026-03-31Z}'",
        200.0,
        &BIG,
    ),
    (
        "node_status_history.status_times",
        "null, 'USER', '2026-03-01Z', '2026-03-31Z', '{2026-03-01Z, 2026-03-31Z}'",
        6_000.0,
        &BIG,
    ),
    ("fleet.show_server", "7", 10.0, &BIG),
    (
        "fleet.list_clients",
        "null, null, 50, 100, false",
        200.0,
        &FLEET,
    ),
    ("fleet.list_clients", "7, null, 50, 0, false", 50.0, &FLEET),
    ("fleet.list_clients", "null, 7, 1, 0, true", 10.0, &FLEET),
    ("fleet.count_clients", "7, false", 10.0, &FLEET),
    ("queued_package.show", "'{1,2,3,70000}'", 300.0, &BIG),
    // The notices of all active items are due.
    ("expiry_notice.lock_due", "now(), 1000", 1_000.0, &BIG),
    ("package_extension.count_items", "7, null", 450.0, &BIG),
    (
        "package_extension.next_items",
        "null, md5('7')::uuid, 57, 100, 50",
        210.0,
        &BIG,
    ),
];
/// Tables that no step of the fleet's [`STATEMENTS`] may read in full.
const FLEET: [&str; 3] = ["node_server", "node_client", "node_server_heartbeat"];
const BIG: [&str; 6] = [
    "package_queue",
    "node_status_transition",
    "user_package_usage",
    "node_client",
    "node_status_history",
    "node_status_hourly_mv",
];

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn every_api_reads_by_index_and_by_page(pool: PgPool) {
    let world = World {
        pool,
        ..World::offline()
    };
    sqlx::raw_sql(DATA).execute(&world.pool).await.unwrap();
    vacuum(&world).await;
    for (name, arguments, most_rows, whole) in STATEMENTS {
        // A user whose package group gives access to 90 clients, with three items and five hours of
        // usage.
        let arguments = arguments.replace("'USER'", "md5('7')::uuid");
        let plan = plan(&world, name, &arguments).await;
        check(name, &arguments, &plan, most_rows, whole);
    }
    for (arguments, most_rows) in searches() {
        let plan = plan(&world, "queued_package.find", &arguments).await;
        check("queued_package.find", &arguments, &plan, most_rows, &BIG);
    }
    let nodes = plan(&world, "analysis.user_nodes", "md5('7')::uuid, 1000, 0").await;
    assert_eq!(
        nodes["Actual Rows"].as_f64(),
        Some(90.0),
        "expected 90 nodes of the user: {nodes:#}"
    );
}

/// Every combination of filters in an administrator's search for items, with the maximum number of
/// rows that a step may touch. A user or an order has a few items, a package has 600. With a status
/// alone no step reads further than the total is counted, without any filter four times that.
fn searches() -> Vec<(String, f64)> {
    let one_of = |filter: &str| ["null".to_owned(), filter.to_owned()];
    let mut searches = Vec::new();
    for user in one_of("md5('7')::uuid") {
        for order in one_of("md5('o40007')::uuid") {
            for package in one_of("8") {
                for status in [
                    "null",
                    "'in_queue'",
                    "'active'",
                    "'consumed'",
                    "'cancelled'",
                ] {
                    let most_rows = match (&*user, &*order, &*package, status) {
                        // 600 stored counts, each compared with up to four statuses.
                        ("null", "null", _, _) => 2_400.0,
                        _ => 20.0,
                    };
                    searches.push((
                        format!("{user}, {order}, {package}, {status}, 10000, 50, 0"),
                        most_rows,
                    ));
                }
            }
        }
    }
    searches
}

/// Updates the planner's statistics and marks all pages visible, which makes index-only scans
/// cheap. Vacuum skips pages while another process, such as autovacuum, reads the database, so it
/// is repeated.
async fn vacuum(world: &World) {
    for _ in 0..50 {
        sqlx::raw_sql("vacuum analyze")
            .execute(&world.pool)
            .await
            .unwrap();
        let hidden = "select count(*) from pg_stat_user_tables join pg_class c on c.oid = relid
             where schemaname = 'telecom' and relallvisible < relpages";
        if world.number(hidden).await == 0 {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
    panic!("the tables are not all visible after 10 s");
}

/// Asserts that no step of a plan reads a big table in full or touches more rows than allowed.
fn check(name: &str, arguments: &str, node: &Value, most_rows: f64, whole: &[&str]) {
    let rows = node["Actual Rows"].as_f64().unwrap() * node["Actual Loops"].as_f64().unwrap();
    let filtered = node["Rows Removed by Filter"].as_f64().unwrap_or_default()
        * node["Actual Loops"].as_f64().unwrap();
    assert!(
        rows + filtered <= most_rows,
        "{name} ({arguments}) touches {rows} + {filtered} rows: {node:#}"
    );
    let scans = node["Node Type"] == "Seq Scan" && node["Actual Loops"].as_i64() > Some(0);
    let table = node["Relation Name"].as_str().unwrap_or_default();
    assert!(
        !(scans && whole.contains(&table)),
        "{name} ({arguments}) reads all of {table}: {node:#}"
    );
    for child in node["Plans"].as_array().into_iter().flatten() {
        check(name, arguments, child, most_rows, whole);
    }
}

/// 200 servers over 92 days, each with a snapshot per hour and ten intervals per day. A user's
/// clients belong to four of them.
const HISTORY: &str = "
    insert into telecom.node_server (name, compatibility) select 's', 'ssp'
    from generate_series(1, 200);
    insert into telecom.node_client (node_server_id, name, country, access_groups)
        select id, 'c', 'DE', array[case when id % 50 = 0 then 1 else 2 end]
        from telecom.node_server;
    insert into telecom.package (series, version, name, available_group, max_client_number,
    expire_duration_seconds, traffic_limit_bytes)
        values (gen_random_uuid(), 1, 'p', 1, 1, 86400, 1000);
    insert into telecom.package_queue (user_id, package_id, status, activated_at, expires_at)
        select '098f6bcd-4621-3373-8ade-4e832627b4f6', id, 'active', now(), now()
        from telecom.package;
    insert into telecom.node_status_history (node_server_id, status, created_at)
        select s, 'online', timestamptz '2026-01-01Z' + h * interval '1 hour'
        from generate_series(0, 92 * 24 - 1) h, generate_series(1, 200) s;
    insert into telecom.node_status_transition (node_server_id, to_status, since, until,
    detected_at)
        select s, 'online', timestamptz '2026-01-01Z' + i * interval '144 minutes',
        timestamptz '2026-01-01Z' + (i + 1) * interval '144 minutes', now()
        from generate_series(0, 919) i, generate_series(1, 200) s;
    update telecom.node_status_seal set open_from = '2026-04-01';
    refresh materialized view telecom.node_status_hourly_mv;";

const GROWING: [&str; 3] = [
    "node_status_transition",
    "node_status_history",
    "node_status_hourly_mv",
];

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_history_of_92_days_reads_only_the_servers_of_the_user(pool: PgPool) {
    let world = World {
        pool,
        ..World::offline()
    };
    sqlx::raw_sql(HISTORY).execute(&world.pool).await.unwrap();
    vacuum(&world).await;
    let arguments = |who: &str| {
        format!("{who}'098f6bcd-4621-3373-8ade-4e832627b4f6', '2026-01-01Z', '2026-04-03Z'")
    };
    let hours = plan(&world, "analysis.node_status_hours", &arguments("")).await;
    check(
        "analysis.node_status_hours",
        "92 days",
        &hours,
        4.0 * 92.0 * 24.0,
        &GROWING,
    );
    let of_user = format!("{}, '{{2026-01-01Z, 2026-04-03Z}}'", arguments("null, "));
    let times = plan(&world, "node_status_history.status_times", &of_user).await;
    check(
        "node_status_history.status_times",
        "92 days",
        &times,
        4.0 * 920.0,
        &GROWING,
    );
    // For a single day no step reads more rows than there are clients.
    let day = of_user.replace("2026-01-01Z", "2026-04-02Z");
    let times = plan(&world, "node_status_history.status_times", &day).await;
    check(
        "node_status_history.status_times",
        "a day",
        &times,
        200.0,
        &GROWING,
    );
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_view_refresh_reads_only_the_open_hours(pool: PgPool) {
    let world = World {
        pool,
        ..World::offline()
    };
    sqlx::raw_sql(HISTORY).execute(&world.pool).await.unwrap();
    vacuum(&world).await;
    let view = "select definition from pg_matviews where matviewname = 'node_status_hourly_mv'";
    let view: String = sqlx::query_scalar(view)
        .fetch_one(&world.pool)
        .await
        .unwrap();
    let plan = explain(&mut world.pool.acquire().await.unwrap(), &view).await;
    check(
        "node_status_hourly_mv",
        "48 hours of 92 days",
        &plan,
        200.0 * 48.0,
        &GROWING,
    );
}

/// 20,000 items with 200,000 hourly rows in 100 hours, 50 billing runs of 100 reports with 20 lines
/// each.
const RECONCILED: &str = "
    insert into telecom.node_server (id, name, compatibility) values (1, 's', 'ssp');
    insert into telecom.package (series, version, name, available_group, max_client_number,
    expire_duration_seconds, traffic_limit_bytes)
        values (gen_random_uuid(), 1, 'p', 1, 1, 86400, 1000);
    insert into telecom.package_queue (user_id, package_id, status, activated_at, expires_at,
    ended_at, end_reason)
        select md5(n::text)::uuid, p.id, case when n % 10 = 0 then 'active'
        else 'consumed' end::telecom.package_queue_status,
            '2026-03-01Z', '2026-03-01Z', case when n % 10 > 0
            then timestamptz '2026-03-01Z' + n * interval '1 minute' end,
            case when n % 10 > 0 then 'time'::telecom.package_end_reason end
        from generate_series(1, 20000) n, telecom.package p;
    insert into telecom.user_package_usage
        select md5((1 + n % 20000)::text)::uuid,
        timestamptz '2026-03-01Z' + n / 2000 * interval '1 hour', 1, null,
            case when n % 100 > 0 then 1 + n % 20000 end, 1, 1, 1, 1, case when n % 100 = 0
            then timestamptz '2026-03-01Z' end
        from generate_series(0, 199999) n;
    insert into telecom.accepted_usage
        select timestamptz '2026-03-01Z' + n / 100 * interval '1 hour', md5((n % 50)::text)::uuid,
        1, 1, 1, 1 from generate_series(0, 9999) n;
    insert into telecom.billing_run select md5(n::text)::uuid, '2026-03-01Z', 100, 100, 1, 1, 1, 1
    from generate_series(0, 49) n;
    insert into telecom.usage_report (report_id, node_server_id, period_start, period_end,
    payload_hash, line_count, received_at, billing_run_id)
        select md5(n::text)::uuid, 1, '2026-03-01Z', '2026-03-01Z', '', 20, '2026-03-01Z',
        md5((n / 100)::text)::uuid from generate_series(0, 4999) n;
    select telecom.create_traffic_usage_partitions('2026-02-20', 20);
    insert into telecom.traffic_usage
        select r.seq, r.received_at, 1, 1, md5(n::text)::uuid, null, 1
        from telecom.usage_report r, generate_series(1, 20) n;";

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn reconciliation_reads_only_its_keys(pool: PgPool) {
    let world = World {
        pool,
        ..World::offline()
    };
    sqlx::raw_sql(RECONCILED)
        .execute(&world.pool)
        .await
        .unwrap();
    vacuum(&world).await;
    let large = [
        "user_package_usage",
        "accepted_usage",
        "package_queue",
        "usage_report",
        "traffic_usage_20260301",
    ];
    for (name, arguments, most_rows) in [
        ("hours", "'{2026-03-02Z, 2026-03-04Z}'", 4_200.0),
        ("uncharged", "'{2026-03-02Z, 2026-03-04Z}', 30", 100.0),
        ("items", "'{1,2,3,4,5,6,7,8,9}', '2026-03-01Z'", 100.0),
        (
            "runs",
            "array[md5('1'), md5('2')]::uuid[], '2026-03-01Z'",
            4_100.0,
        ),
        (
            "applied",
            "array[md5('1'), md5('2')]::uuid[], '2026-03-01Z', '2026-03-02Z'",
            500.0,
        ),
        (
            "recent_items",
            "'2026-03-02Z', '2026-03-03Z', 19000, 50",
            1_500.0,
        ),
        ("all_items", "19000, 50", 60.0),
    ] {
        let name = format!("reconciliation.{name}");
        check(
            &name,
            arguments,
            &plan(&world, &name, arguments).await,
            most_rows,
            &large,
        );
    }
}
