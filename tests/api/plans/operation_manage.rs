//! Searches of the audit log, of runs of jobs, of parked events, of drifts and of the
//! quarantine read by index, however rare the matches are.

use sqlx::PgPool;
use telecom_tests::World;

use super::explain::plan;
use super::{check, vacuum};

/// 200,000 audit entries, nearly all of them by one caller who performed one of the actions rarely,
/// 50,000 parked events, 50,000 doubtful pushes, 60,000 drifts, of which one in ten is open,
/// 50,000 reports in quarantine with four lines each, of which one in fifty waits, and 60,000 runs
/// of three jobs.
const DATA: &str = "
    insert into telecom.audit_entry (created_at, actor_user_id, action, target_kind, target_id,
    after)
        select timestamptz '2026-03-01Z' + n * interval '1 second',
            md5(case when n % 1000 = 0 then 'rare' || n % 3000 else 'busy' end)::uuid,
            case when n % 20000 = 7 then 'RetirePackage' when n % 1000 = 0 then 'SetMasterPackage'
            else 'AdjustQuota' end,
            'package_item', (n % 40000)::text, jsonb_build_object('adjust_quota', n)
        from generate_series(1, 200000) n;
    insert into telecom.parked_event (user_id, bucket_start, node_server_id, raw_upload_bytes,
    raw_download_bytes, billed_upload_bytes, billed_download_bytes, reason, parked_at, retry_at)
        select md5((n % 10000)::text)::uuid, '2026-03-01Z', 1, 1, 1, 1, 1, 'locked: ',
            '2026-03-01Z', timestamptz '2026-03-01Z' + n * interval '1 second'
        from generate_series(1, 50000) n;
    insert into telecom.doubtful_push (push_id, doubt, node_access_id, node_server_id,
    node_client_id, arrived_at, decision, decided_at)
        select gen_random_uuid(),
            case when n % 10000 = 7 then 'unreadable_rows' when n % 20 = 0 then 'unknown_users'
            else 'contains_previous' end::telecom.doubt,
            1, n % 1000, n % 3000, '2026-03-01Z', case when n % 1000 > 1 then
            'kept'::telecom.doubt_decision end,
            case when n % 1000 > 1 then '2026-03-01Z'::timestamptz end
        from generate_series(1, 50000) n;
    insert into telecom.usage_drift (kind, bucket_start, package_queue_id, user_id,
        raw_upload_bytes, raw_download_bytes, billed_upload_bytes, billed_download_bytes, found_at,
        accepted_reason)
        select case when n % 10000 = 0 then 'hour' else 'item' end,
            case when n % 10000 = 0 then timestamptz '2026-03-01Z' + n * interval '1 hour' end,
            case when n % 10000 > 0 then n end, null, 0, 0, n, n, '2026-03-01Z',
            case when n % 10 > 0 then 'imported' end
        from generate_series(1, 60000) n;
    insert into telecom.quarantined_report (usage_report_seq, report_id, node_server_id,
        period_start, period_end, received_at, reason, released_at, released_by, release_reason)
        select n, gen_random_uuid(), n % 1000, '2026-03-01Z', '2026-03-01Z',
            timestamptz '2026-03-01Z' + n * interval '1 second',
            case when n % 10000 = 7 then 'implausible_bytes' else 'unknown_node_client' end,
            case when n % 50 > 0 then '2026-03-02Z'::timestamptz end,
            case when n % 50 > 0 then 'owner' end, case when n % 50 > 0 then 'checked' end
        from generate_series(1, 50000) n;
    insert into telecom.quarantined_usage
        select 1 + n % 50000, 1, 2, md5((n % 10000)::text)::uuid, 99, null
        from generate_series(1, 200000) n;
    insert into telecom.job_run (id, job, started_at, deadline_at, ended_at, outcome, error_code)
        select md5(n::text)::uuid, case when n % 100 = 7 then 'maintain-storage'
            when n % 2 = 0 then 'sweep-outbox' else 'bill-traffic' end,
            timestamptz '2026-03-01Z' + n * interval '20 seconds',
            timestamptz '2026-03-01 00:01Z' + n * interval '20 seconds',
            case when n % 5000 > 2 then '2026-03-20Z'::timestamptz end,
            case when n % 5000 < 3 then 'running' when n % 5000 < 6 then 'failed'
            else 'completed' end::telecom.job_outcome,
            case when n % 5000 between 3 and 5 then 'locked' end
        from generate_series(1, 60000) n;
    insert into telecom.rejected_message (queue, message_id, error_code, reason, first_failed_at,
    last_failed_at)
        select case when n % 10000 = 7 then 'package-order' else 'usage-report' end, n,
            'unknown_server', 'r', '2026-03-01Z',
            timestamptz '2026-03-01Z' + n * interval '1 second'
        from generate_series(1, 50000) n;";
const LOGS: [&str; 8] = [
    "audit_entry",
    "parked_event",
    "doubtful_push",
    "usage_drift",
    "quarantined_report",
    "quarantined_usage",
    "job_run",
    "rejected_message",
];

/// Arguments of `job_run.find`, and the maximum number of runs that a step may touch.
const RUNS: [(&str, f64); 7] = [
    ("null, null, null, null, 10000, 'JOBS'", 10_000.0),
    (
        "null, null, '2026-03-05Z', '2026-03-05 01:00Z', 10000, 'JOBS'",
        200.0,
    ),
    (
        "'bill-traffic', null, null, null, 10000, '{bill-traffic}'",
        20_100.0,
    ),
    (
        "'bill-traffic', 'failed', null, null, 10000, '{bill-traffic}'",
        50.0,
    ),
    (
        "'maintain-storage', null, null, null, 10000, '{maintain-storage}'",
        2_000.0,
    ),
    ("null, 'lost', null, null, 10000, 'JOBS'", 100.0),
    ("null, 'completed', null, null, 10000, 'JOBS'", 20_700.0),
];

/// Arguments of `audit.find`, and the maximum number of entries that a step may touch.
const SEARCHES: [(&str, f64); 11] = [
    ("null, null, null, null, null, null", 10_100.0),
    (
        "null, null, null, null, '2026-03-02Z', '2026-03-02 00:01Z'",
        70.0,
    ),
    ("md5('busy')::uuid, null, null, null, null, null", 10_000.0),
    (
        "md5('busy')::uuid, null, null, null, null, '2026-03-01 00:10Z'",
        700.0,
    ),
    ("md5('rare0')::uuid, null, null, null, null, null", 100.0),
    (
        "md5('busy')::uuid, 'RetirePackage', null, null, null, null",
        20.0,
    ),
    (
        "md5('rare0')::uuid, 'AdjustQuota', null, null, null, null",
        1.0,
    ),
    ("null, 'AdjustQuota', null, null, null, null", 10_000.0),
    ("null, 'RetirePackage', null, null, null, null", 20.0),
    ("null, null, 'package_item', '7', null, null", 10.0),
    (
        "md5('busy')::uuid, 'RetirePackage', 'package_item', '7', '2026-03-01Z', null",
        10.0,
    ),
];

/// Statements, arguments, and the maximum number of rows that a step may touch.
const STATEMENTS: [(&str, &str, f64); 29] = [
    (
        "dead_letter.reasons",
        "'{usage-report,package-order,schedule}', 1000, 20",
        1_010.0,
    ),
    ("dead_letter.counts", "'{usage-report,schedule}'", 10.0),
    (
        "job_run.show",
        "array[md5('1'), md5('7000')]::uuid[], '2026-03-20Z'",
        10.0,
    ),
    (
        "job_run.newest",
        "'{bill-traffic,maintain-storage,sweep-outbox}', '2026-03-20Z'",
        12.0,
    ),
    (
        "doubtful_push.find",
        "null, null, null, null, 10000, 50, 100",
        12_600.0,
    ),
    (
        "doubtful_push.find",
        "null, null, null, 'open', 10000, 50, 0",
        110.0,
    ),
    (
        "doubtful_push.find",
        "null, null, 'unreadable_rows', null, 10000, 50, 0",
        10.0,
    ),
    (
        "doubtful_push.find",
        "7, null, null, 'decided', 10000, 50, 0",
        60.0,
    ),
    (
        "doubtful_push.find",
        "null, 7, null, null, 10000, 50, 0",
        20.0,
    ),
    ("doubtful_push.show", "'{1,2,3,7000}'", 10.0),
    ("doubtful_push.rows_at_stake", "7", 20_000.0),
    ("usage_drift.find", "'{hour,item}', 1000, 50, 100", 1_010.0),
    ("usage_drift.find", "'{hour}', 1000, 50, 0", 10.0),
    ("usage_drift.show", "'{1,2,3,7000}'", 10.0),
    (
        "quarantined_report.find",
        "null, '{implausible_bytes,unknown_node_client}', null, 1000, 50, 100",
        3_100.0,
    ),
    (
        "quarantined_report.find",
        "null, '{implausible_bytes,unknown_node_client}', false, 1000, 50, 100",
        1_100.0,
    ),
    (
        "quarantined_report.find",
        "null, '{implausible_bytes}', true, 1000, 50, 0",
        20.0,
    ),
    (
        "quarantined_report.find",
        "7, '{implausible_bytes,unknown_node_client}', null, 1000, 50, 0",
        60.0,
    ),
    ("quarantined_report.show", "'{1,2,3,7000}'", 20.0),
    ("quarantined_report.lock", "7", 1.0),
    ("quarantined_report.unknown_clients", "7, 10", 10.0),
    ("audit.created_at", "70000", 1.0),
    ("audit.show", "'{1,2,3,70000}'", 10.0),
    ("parked_event.find", "null, 10000, 50, 100", 10_000.0),
    ("parked_event.find", "md5('7')::uuid, 10000, 50, 0", 10.0),
    ("parked_event.show", "'{1,2,3,7000}'", 10.0),
    (
        "parked_event.lock_waiting",
        "'{1,2,3,7000}', '2026-03-01Z'",
        10.0,
    ),
    (
        "parked_event.lock_waiting_of_user",
        "md5('7')::uuid, '2026-03-01Z', 1001",
        10.0,
    ),
    (
        "parked_event.lock_all_waiting",
        "'2026-03-01Z', 1001",
        1_001.0,
    ),
];

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn searches_of_the_audit_log_and_of_parked_events_read_by_index(pool: PgPool) {
    let world = World {
        pool,
        ..World::offline()
    };
    sqlx::raw_sql(DATA).execute(&world.pool).await.unwrap();
    vacuum(&world).await;
    for (filter, most_rows) in SEARCHES {
        let arguments = format!("{filter}, -9223372036854775808, 10000, 50, 0");
        let plan = plan(&world, "audit.find", &arguments).await;
        check("audit.find", &arguments, &plan, most_rows, &LOGS);
    }
    for (arguments, most_rows) in RUNS {
        let jobs = "{bill-traffic,expire-packages,maintain-storage,sweep-outbox}";
        let arguments = arguments.replace("JOBS", jobs);
        let arguments = format!("{arguments}, '2026-03-20Z', 50, 100");
        let plan = plan(&world, "job_run.find", &arguments).await;
        check("job_run.find", &arguments, &plan, most_rows, &LOGS);
    }
    for (name, arguments, most_rows) in STATEMENTS {
        let plan = plan(&world, name, arguments).await;
        check(name, arguments, &plan, most_rows, &LOGS);
    }
}
