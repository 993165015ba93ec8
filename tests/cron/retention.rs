//! The retention of every table is documented, and the jobs delete rows as documented.

use std::collections::{BTreeMap, BTreeSet};

use chrono::TimeDelta;
use shared::db::maintenance::create_partitions;
use shared::services::Processor;
use shared::services::cron::Run;
use shared::services::cron::maintain_storage::MaintainStorageJob;
use shared::services::cron::refresh_node_status_view::RefreshNodeStatusViewJob;
use sqlx::PgPool;
use telecom_tests::{NOW, World, at};

/// The documented retention of each table: the second column under *Retention* in
/// `docs/OPERATIONS.md`.
fn documented() -> BTreeMap<&'static str, &'static str> {
    let page = include_str!("../../docs/OPERATIONS.md");
    let (_, section) = page.split_once("\n## Retention\n").unwrap();
    let section = section.split("\n## ").next().unwrap();
    let rows = section
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once("` | "));
    rows.map(|(table, rest)| (table, rest.split(" |").next().unwrap()))
        .collect()
}

/// The tables with a retention in days, and the number of days.
fn kept_days() -> BTreeMap<&'static str, i64> {
    let days = |kept: &'static str| kept.split_once(" day")?.0.parse().ok();
    documented()
        .into_iter()
        .filter_map(|(table, kept)| Some((table, days(kept)?)))
        .collect()
}

/// Tables that may be kept without a limit in days. The operator owns their rows, or they have one
/// row per server or one row in total, or they are bounded otherwise.
const WITHOUT_DAYS: [&str; 27] = [
    "dead_letter_queue",
    "late_user_usage",
    "node_access",
    "node_client",
    "node_server",
    "node_server_heartbeat",
    "node_status_hourly_mv",
    "node_status_seal",
    "node_status_watch",
    "node_usage_delta",
    "node_user",
    "online_address",
    "online_address_salt",
    "outbox",
    "package",
    "package_order",
    "package_queue",
    "package_queue_count",
    "parked_event",
    "reconciliation",
    "report_sender",
    "top_user",
    "top_user_refresh",
    "usage_drift",
    "usage_summary",
    "user_list_change",
    "webhook",
];

#[test]
fn only_named_tables_are_kept_without_a_limit_in_days() {
    let kept = kept_days();
    let without: Vec<&str> = documented()
        .into_keys()
        .filter(|table| !kept.contains_key(table))
        .collect();
    assert_eq!(without, WITHOUT_DAYS);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn every_table_has_a_documented_retention(pool: PgPool) {
    let tables: Vec<String> = sqlx::query_scalar(
        "select relname::text from pg_class where relnamespace = 'telecom'::regnamespace
            and relkind in ('r', 'p', 'm') and not relispartition",
    )
    .fetch_all(&pool)
    .await
    .unwrap();
    assert_eq!(
        documented()
            .into_keys()
            .map(str::to_owned)
            .collect::<BTreeSet<_>>(),
        tables.into_iter().collect()
    );
}

/// For each table, a statement that inserts a row dated `$1`.
const ROWS: [(&str, &str); 25] = [
    (
        "node_server_metrics_hourly",
        "insert into telecom.node_server_metrics_hourly values (1,
         date_trunc('hour', $1::timestamptz), 1, 0, 0, null, 0, 0, null, null, 0, 0, null,
         null, 0, 0, null, 0, 0, null, 0, 0, null, 0, 0, null)",
    ),
    (
        "rejected_message",
        "insert into telecom.rejected_message (queue, message_id, error_code, reason,
         first_failed_at, last_failed_at)
         values ('q', gen_random_uuid(), 'c', 'r', '2020-01-01Z', $1)",
    ),
    (
        "job_run",
        "insert into telecom.job_run (id, job, started_at) values (gen_random_uuid(), 'a-job', $1)",
    ),
    (
        "webhook_delivery",
        "with hook as (
            insert into telecom.webhook (id, url, description, sealed_secret, created_at)
            values (gen_random_uuid(), '', '', '', $1) returning id
         )
         insert into telecom.webhook_delivery (webhook_id, event_id, event_type, body, created_at,
         due_at, retry_until)
         select id, gen_random_uuid(), 'A', '', $1, $1, $1 from hook",
    ),
    (
        "node_push",
        "insert into telecom.node_push (push_id, node_access_id, node_client_id, body_hash,
         first_arrived_at, last_arrived_at, arrivals)
         values (gen_random_uuid(), 1, 1, '', '2020-01-01Z', $1, 1)",
    ),
    (
        "last_node_push",
        "insert into telecom.last_node_push (node_access_id, node_client_id, part, arrived_at)
         values (floor(random() * 1e9), 1, 0, $1)",
    ),
    (
        "doubtful_push",
        "insert into telecom.doubtful_push (push_id, doubt, node_access_id, node_server_id,
         arrived_at)
         values (gen_random_uuid(), 'unknown_users', 1, 1, $1)",
    ),
    (
        "answered_call",
        "insert into telecom.answered_call (actor_user_id, idempotency_key, request_hash,
         created_at)
         values (gen_random_uuid(), 'key', '', $1)",
    ),
    (
        "package_extension",
        "insert into telecom.package_extension (id, created_at, actor_user_id, series, hours,
         reason, item_count, completed_at)
         values (gen_random_uuid(), '2020-01-01Z', gen_random_uuid(), gen_random_uuid(), 1, 'r', 1,
         $1)",
    ),
    (
        "traffic_usage",
        "insert into telecom.traffic_usage (usage_report_seq, received_at, upload_bytes,
        download_bytes, user_id, traffic_factor)
         values (1, $1, 1, 1, gen_random_uuid(), 1)",
    ),
    (
        "usage_report",
        "insert into telecom.usage_report (report_id, node_server_id, period_start, period_end,
        payload_hash, line_count, received_at)
         values (gen_random_uuid(), 1, $1, $1, '', 0, $1)",
    ),
    (
        "billing_batch",
        "insert into telecom.billing_batch (id, payload_hash, event_count, applied_at) \
         values (gen_random_uuid(), '', 1, $1)",
    ),
    ("billing_run", "insert into telecom.billing_run values (gen_random_uuid(), $1, 1, 1, 1, 1, \
        1, 1)"),
    (
        "user_package_usage",
        "insert into telecom.user_package_usage values (gen_random_uuid(), $1, 1, null, null, 1, \
         1, 1, 1)",
    ),
    (
        "node_usage_hourly",
        "insert into telecom.node_usage_hourly values ($1, 1, null, 1, 1, 1, 1)",
    ),
    (
        "node_usage_daily",
        "insert into telecom.node_usage_daily values ($1::date, 1, null, 1, 1, 1, 1)",
    ),
    (
        "user_usage_daily",
        "insert into telecom.user_usage_daily values (gen_random_uuid(), $1::date, 1, null, 1, 1, \
         1, 1)",
    ),
    (
        "usage_correction",
        "insert into telecom.usage_correction (user_id, bucket_start, node_server_id,
         billed_upload_bytes, billed_download_bytes, corrected_at, actor_user_id, reason)
         values (gen_random_uuid(), $1, 1, 1, 1, $1, gen_random_uuid(), 'r')",
    ),
    ("accepted_usage", "insert into telecom.accepted_usage values ($1, null, 1, 1, 1, 1)"),
    (
        "quarantined_report",
        "insert into telecom.quarantined_report values (floor(random() * 1e9), gen_random_uuid(), \
         1, null, $1, $1, $1, 'implausible_bytes')",
    ),
    (
        "quarantined_usage",
        "insert into telecom.quarantined_usage
         select usage_report_seq, 1, 1, gen_random_uuid(), null, 1 from telecom.quarantined_report
         where received_at = $1",
    ),
    (
        "node_status_history",
        "insert into telecom.node_status_history (node_server_id, status, created_at) values (1, \
         'online', $1)",
    ),
    (
        "node_status_transition",
        "insert into telecom.node_status_transition (node_server_id, to_status, since, until,
        detected_at)
         values (1, 'online', '2020-01-01Z', $1, $1)",
    ),
    (
        "audit_entry",
        "insert into telecom.audit_entry (created_at, actor_user_id, action, target_kind, target_id)
         values ($1, gen_random_uuid(), 'RevealSecrets', 'node_server', '1')",
    ),
    ("collection_outage", "insert into telecom.collection_outage (since, until) \
        values ('2020-01-01Z', $1)"),
];

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn each_table_is_kept_exactly_as_long_as_documented(pool: PgPool) {
    let world = World::new(pool).await;
    let kept = kept_days();
    assert_eq!(
        ROWS.map(|(table, _)| table)
            .into_iter()
            .collect::<BTreeSet<_>>(),
        kept.keys().copied().collect()
    );
    for (table, row) in ROWS {
        // One row is a day younger than the limit, the other one a day older.
        for days in [kept[table] - 1, kept[table] + 1] {
            let dated = at(NOW) - TimeDelta::days(days);
            let mut connection = world.pool.acquire().await.unwrap();
            create_partitions(&mut connection, dated.date_naive(), 1)
                .await
                .unwrap();
            sqlx::query(row)
                .bind(dated)
                .execute(&mut *connection)
                .await
                .unwrap();
        }
    }
    world
        .cron()
        .process(MaintainStorageJob(Run::default()))
        .await
        .unwrap();
    let refreshed = world
        .cron()
        .process(RefreshNodeStatusViewJob(Run::default()))
        .await
        .unwrap();
    assert!(refreshed.complete);
    for (table, _) in ROWS {
        let left: i64 = sqlx::query_scalar(&format!("select count(*) from telecom.{table}"))
            .fetch_one(&world.pool)
            .await
            .unwrap();
        assert_eq!(left, 1, "{table}");
    }
}
