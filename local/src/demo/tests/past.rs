//! The past of the demo fleet follows the rules that the functions follow.

use chrono::TimeDelta;
use sqlx::PgPool;

use super::harness::{Memory, Pipeline, SEED, now, options, simulate};
use crate::demo::fleet;
use crate::demo::past;

/// Rules, each with a query that must return 0.
const RULES: [(&str, &str); 9] = [
    (
        "usage on a node that the package does not open",
        "select count(*) from telecom.user_package_usage u
        join telecom.package_queue q on q.id = u.package_queue_id
        join telecom.package p on p.id = q.package_id
        join telecom.node_client c on c.id = u.node_client_id
        where c.node_server_id <> u.node_server_id
            or not c.access_groups @> array[p.available_group]",
    ),
    (
        "usage that is not charged to an item of the user that was active in the hour",
        "select count(*) from telecom.user_package_usage u
        left join telecom.package_queue q on q.id = u.package_queue_id and q.user_id = u.user_id
            and q.activated_at < u.bucket_start + interval '1 hour'
            and (q.ended_at is null or q.ended_at > u.bucket_start)
        where q.id is null",
    ),
    (
        "bills that are not the product of raw bytes and factor",
        "select count(*) from telecom.user_package_usage u
        left join telecom.node_client c on c.id = u.node_client_id
        where (u.billed_upload_bytes, u.billed_download_bytes) is distinct from (
                round(u.raw_upload_bytes * coalesce(c.traffic_factor, 1)),
                round(u.raw_download_bytes * coalesce(c.traffic_factor, 1))
            )
            and not exists (
                select from telecom.usage_correction k
                where k.package_queue_id = u.package_queue_id and k.bucket_start = u.bucket_start
            )",
    ),
    (
        "usage of an hour in which the server was down",
        "select count(*) from telecom.user_package_usage u
        join telecom.node_status_transition t on t.node_server_id = u.node_server_id
            and t.to_status <> 'online' and t.since <= u.bucket_start
            and t.until >= u.bucket_start + interval '1 hour'",
    ),
    (
        "items that traffic ended too early, and items that it did not end",
        "select count(*) from telecom.package_queue q
        join telecom.package p on p.id = q.package_id
        where (coalesce(q.end_reason, 'time') = 'traffic')
            <> (q.upload_bytes + q.download_bytes >= p.traffic_limit_bytes)",
    ),
    (
        "items that overlap, or that ended before they began or after their time",
        "select count(*) from (
            select *, lead(activated_at) over (partition by user_id order by activated_at) as next
            from telecom.package_queue where activated_at is not null
        ) q
        where created_at > activated_at or ended_at < activated_at or ended_at > expires_at
            or next < coalesce(ended_at, 'infinity')",
    ),
    (
        "gaps between the statuses of a server",
        "select count(*) from (
            select *, lead(since) over (partition by node_server_id order by since) as next
            from telecom.node_status_transition
        ) t
        where until is distinct from next",
    ),
    (
        "servers that are not online, or whose timeline differs",
        "select count(*) from telecom.node_server s
        left join telecom.node_status_transition t on t.node_server_id = s.id and t.until is null
        where s.status <> 'online' or t.to_status is distinct from s.status",
    ),
    (
        "packages whose number of items is wrong",
        "select count(*) from (
            select package_id, status, count(*) as n from telecom.package_queue group by 1, 2
        ) q full join (
            select package_id, status, sum(items) as n from telecom.package_queue_count
            group by 1, 2 having sum(items) <> 0
        ) c using (package_id, status) where q.n is distinct from c.n",
    ),
];

/// The tables that the past is written to.
const TABLES: [&str; 16] = [
    "package_queue",
    "user_package_usage",
    "accepted_usage",
    "usage_correction",
    "node_usage_hourly",
    "node_usage_daily",
    "user_usage_daily",
    "top_user",
    "top_user_refresh",
    "node_status_transition",
    "node_status_history",
    "collection_outage",
    "node_status_watch",
    "node_server_heartbeat",
    "node_server_metrics_hourly",
    "audit_entry",
];

async fn number(pool: &PgPool, query: &str) -> i64 {
    sqlx::query_scalar(query).fetch_one(pool).await.unwrap()
}

/// Name, number of rows, and a checksum of the rows of each table.
async fn contents(pool: &PgPool) -> Vec<(&'static str, i64, i64)> {
    let mut contents = Vec::new();
    for table in TABLES {
        let rows = format!("select count(*) from telecom.{table}");
        let checksum = format!(
            "select coalesce(sum(hashtextextended(t::text, 0) % 1000000007), 0)::bigint
            from telecom.{table} t"
        );
        contents.push((
            table,
            number(pool, &rows).await,
            number(pool, &checksum).await,
        ));
    }
    contents
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_past_of_30_days_follows_the_rules_and_agrees_with_all_sums(pool: PgPool) {
    let pipeline = Pipeline::with_past(pool, past::DAYS).await;
    let done = pipeline.reconcile().await;
    assert!(
        done.complete && (done.drifts, done.unchecked) == (0, 0),
        "{done:?}"
    );
    assert!(done.hours >= 720 && done.items > 4_000, "{done:?}");
    for (rule, query) in RULES {
        assert_eq!(number(&pipeline.pool, query).await, 0, "{rule}");
    }
    for (table, rows, _) in contents(&pipeline.pool).await {
        assert!(rows > 0, "{table} is empty");
    }
    for reason in ["time", "traffic"] {
        let ended =
            format!("select count(*) from telecom.package_queue where end_reason = '{reason}'");
        assert!(number(&pipeline.pool, &ended).await > 100, "{reason}");
    }
    let days = format!(
        "select count(distinct (bucket_start at time zone 'UTC')::date)
        from telecom.user_package_usage where user_id = '{}'",
        fleet::DEMO_USER
    );
    assert!(number(&pipeline.pool, &days).await > 20);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn the_reconciliation_checks_the_past(pool: PgPool) {
    let pipeline = Pipeline::with_past(pool, 5).await;
    let first = "(select min(ctid) from telecom.user_package_usage)";
    pipeline
        .add_one("user_package_usage", "raw_upload_bytes", "+", first)
        .await;
    assert!(pipeline.reconcile().await.drifts > 0);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn verify_detects_a_difference_of_one_byte_in_hours_with_a_past(pool: PgPool) {
    let folder = tempfile::tempdir().unwrap();
    let pipeline = Pipeline::with_past(pool, 5).await;
    let (totals, bodies) =
        simulate(&folder, &*pipeline.clock, Memory::default(), options(60)).await;
    // Late reports are of hours that have a past.
    assert!(totals.late > 0, "{totals}");
    pipeline.ingest(&bodies).await;
    pipeline.bill().await;
    let outcome = pipeline.verify(&folder, None).await;
    assert!(outcome.agrees(), "{outcome}");
    let done = pipeline.reconcile().await;
    assert_eq!(done.drifts, 0, "{done:?}");
    let cases = [
        ("raw upload of hours with a past", "raw_upload_bytes"),
        ("raw download of hours with a past", "raw_download_bytes"),
        ("billed upload of hours with a past", "billed_upload_bytes"),
        (
            "billed download of hours with a past",
            "billed_download_bytes",
        ),
    ];
    let (table, first) = (
        "user_package_usage",
        "(select min(ctid) from telecom.user_package_usage)",
    );
    for (what, column) in cases {
        let row = pipeline.add_one(table, column, "+", first).await;
        let outcome = pipeline.verify(&folder, None).await;
        let check = outcome.checks.iter().find(|check| check.what == what);
        let difference = check.map(|check| (check.found - check.expected, check.differing));
        assert_eq!(difference, Some((1, 1)), "{what}\n{outcome}");
        pipeline
            .add_one(table, column, "-", &format!("'{row}'::tid"))
            .await;
    }
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_past_is_written_once_and_is_the_same_for_the_same_seed(pool: PgPool) {
    fleet::seed(&pool, SEED, now(), 5).await.unwrap();
    let first = contents(&pool).await;
    let later = now() + TimeDelta::hours(3);
    fleet::seed(&pool, SEED, later, 5).await.unwrap();
    assert_eq!(contents(&pool).await, first);

    let tables: Vec<String> = TABLES
        .iter()
        .filter(|table| **table != "node_status_watch")
        .chain(&["node_server", "node_client", "package", "node_user"])
        .map(|table| format!("telecom.{table}"))
        .collect();
    let truncate = format!("truncate {} restart identity cascade", tables.join(", "));
    for (seed, is_same) in [(SEED, true), (SEED + 1, false)] {
        sqlx::query(&truncate).execute(&pool).await.unwrap();
        fleet::seed(&pool, seed, now(), 5).await.unwrap();
        assert_eq!(contents(&pool).await == first, is_same, "seed {seed}");
    }
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_database_with_usage_gets_no_past(pool: PgPool) {
    sqlx::query(
        "insert into telecom.user_package_usage (user_id, bucket_start, node_server_id,
            raw_upload_bytes, raw_download_bytes, billed_upload_bytes, billed_download_bytes)
        values (gen_random_uuid(), '2026-02-01Z', 1, 1, 1, 1, 1)",
    )
    .execute(&pool)
    .await
    .unwrap();
    fleet::seed(&pool, SEED, now(), 5).await.unwrap();
    let usage = "select count(*) from telecom.user_package_usage";
    assert_eq!(number(&pool, usage).await, 1);
}
