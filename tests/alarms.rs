//! Each alarm fires when what it is about breaks, and when nothing else does. The definitions are
//! those of the templates. The metrics are those that the functions write, run as processes; what
//! AWS itself measures is derived from what they returned, or, where no function is involved,
//! listed below.
#![allow(
    missing_docs,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::as_conversions,
    clippy::cast_precision_loss
)]

#[path = "alarms/cloudwatch.rs"]
mod cloudwatch;
#[path = "template/document.rs"]
mod document;
#[path = "alarms/functions.rs"]
mod functions;

use std::collections::BTreeSet;

use chrono::TimeDelta;
use futures::future::join_all;
use serde_json::{Value, json};
use shared::clock::{Clock, System};
use shared::db::maintenance;
use sqlx::PgPool;
use telecom_tests::report::report_of;
use telecom_tests::{GIB, World, user};
use uuid::Uuid;

use cloudwatch::{Datum, Deployed, Metrics};
use functions::{Functions, Seen};

/// Consumers, and their queues.
const CONSUMERS: [(&str, &str); 3] = [
    ("ingest-usage-report", "usage-report"),
    ("apply-user-usage-billing", "user-usage-billing"),
    ("handle-package-expiring", "package-expiring"),
];
const MINUTE_JOBS: [&str; 4] = [
    "bill-traffic",
    "expire-packages",
    "sweep-outbox",
    "refresh-server-status",
];
const HOURLY_JOBS: [&str; 4] = [
    "record-node-status-history",
    "refresh-node-status-view",
    "maintain-storage",
    "reconcile-usage",
];
/// How long a state lasts before alarms are evaluated: two periods of the longest.
const MINUTES: i64 = 120;
/// How long SQS receives a message again before it is a dead letter: five times six minutes.
const RECEIVED_MINUTES: i64 = 30;

const STANDING_STILL: [&str; 8] = [
    "BillingStandsStill",
    "ExpiryStandsStill",
    "SweepStandsStill",
    "WatchStandsStill",
    "SnapshotStandsStill",
    "ViewStandsStill",
    "MaintenanceStandsStill",
    "ReconciliationStandsStill",
];
const UNMEASURED: [&str; 3] = ["BillingLag", "OutboxAge", "ParkedEvents"];
const OF_MESSAGES: [&str; 6] = [
    "UsageReportDeadLetters",
    "UserUsageBillingDeadLetters",
    "PackageExpiringDeadLetters",
    "UsageReportAge",
    "UserUsageBillingAge",
    "PackageExpiringAge",
];
const FAILURES: [&str; 3] = [
    "IngestUsageReportFailures",
    "ApplyUserUsageBillingFailures",
    "HandlePackageExpiringFailures",
];
const ERRORS: [&str; 4] = [
    "JobErrors",
    "IngestUsageReportErrors",
    "ApplyUserUsageBillingErrors",
    "HandlePackageExpiringErrors",
];
const REJECTED: [&str; 3] = [
    "UsageReportRejected",
    "UserUsageBillingRejected",
    "PackageExpiringRejected",
];

type OfAws = (
    &'static str,
    &'static str,
    &'static str,
    &'static [(&'static str, &'static str)],
    f64,
    f64,
);

/// What AWS measures without any function: the alarm, the metric as AWS documents it, a value of
/// trouble, and a good one.
const OF_AWS: [OfAws; 9] = [
    (
        "ScheduleDeadLetters",
        "AWS/SQS",
        "ApproximateNumberOfMessagesVisible",
        &[("QueueName", "telecom-schedule-dlq")],
        1.0,
        0.0,
    ),
    (
        "ApiFaults",
        "AWS/ApplicationELB",
        "HTTPCode_Target_5XX_Count",
        &[LOAD_BALANCER],
        2.0,
        1.0,
    ),
    (
        "LoadBalancerFaults",
        "AWS/ApplicationELB",
        "HTTPCode_ELB_5XX_Count",
        &[LOAD_BALANCER],
        2.0,
        1.0,
    ),
    (
        "ApiLatency",
        "AWS/ApplicationELB",
        "TargetResponseTime",
        &[LOAD_BALANCER],
        2.1,
        0.5,
    ),
    (
        "GrpcTasks",
        "AWS/ApplicationELB",
        "HealthyHostCount",
        &[("TargetGroup", "GrpcTargets"), LOAD_BALANCER],
        1.0,
        2.0,
    ),
    (
        "DatabaseCpu",
        "AWS/RDS",
        "CPUUtilization",
        &[CLUSTER],
        81.0,
        50.0,
    ),
    (
        "DatabaseCapacity",
        "AWS/RDS",
        "ACUUtilization",
        &[CLUSTER],
        91.0,
        50.0,
    ),
    (
        "DatabaseConnections",
        "AWS/RDS",
        "DatabaseConnections",
        &[CLUSTER],
        181.0,
        100.0,
    ),
    (
        "DatabaseDeadlocks",
        "AWS/RDS",
        "Deadlocks",
        &[CLUSTER],
        0.01,
        0.0,
    ),
];
const LOAD_BALANCER: (&str, &str) = ("LoadBalancer", "LoadBalancer");
const CLUSTER: (&str, &str) = ("DBClusterIdentifier", "Cluster");

fn names(alarms: &[&[&str]]) -> BTreeSet<String> {
    alarms.concat().into_iter().map(str::to_owned).collect()
}

/// A fleet with a server that was just heard, and a user with an active package.
async fn world(pool: PgPool) -> World {
    let world = World::new(pool).await;
    world.clock.set(System.now());
    let today = System.now().date_naive();
    maintenance::create_partitions(&mut world.pool.acquire().await.unwrap(), today, 2)
        .await
        .unwrap();
    let package = world.package(GIB, 30).await;
    world.active_item(user(1), package).await;
    world
}

/// A good message for each consumer.
fn good(function: &str) -> String {
    let (now, id) = (System.now(), Uuid::new_v4());
    let body = match function {
        "ingest-usage-report" => report_of(id.as_u128(), 1, now, &[(user(1), 1, 1)]),
        "apply-user-usage-billing" => json!({
            "event_id": id, "server_id": 1, "user": user(1), "billed_download": 1,
                "billed_upload": 1, "time": now.timestamp(),
        }),
        _ => {
            json!({ "event_id": id, "package_queue_id": 1, "user": user(1), "reason": "time",
                "time": now })
        }
    };
    body.to_string()
}

async fn run(functions: &Functions, jobs: &[&str]) -> Vec<Seen> {
    join_all(jobs.iter().map(|job| functions.invoke(job, Value::Null))).await
}

/// Each consumer with these messages besides a good one, and each job.
async fn run_all(functions: &Functions, others: &[&str]) -> Vec<Seen> {
    run_with(functions, others, &HOURLY_JOBS).await
}

async fn run_with(functions: &Functions, others: &[&str], hourly_jobs: &[&str]) -> Vec<Seen> {
    let deliveries = CONSUMERS.map(|(consumer, _)| {
        let mut bodies: Vec<String> = others.iter().map(|body| (*body).to_owned()).collect();
        bodies.push(good(consumer));
        async move { functions.deliver(consumer, &bodies).await }
    });
    let mut seen = join_all(deliveries).await;
    seen.extend(run(functions, &MINUTE_JOBS).await);
    seen.extend(run(functions, hourly_jobs).await);
    seen
}

/// What CloudWatch gets when each of these goes on as it was seen: consumers and jobs every minute
/// or hour.
fn lasting(seen: &[Seen]) -> Metrics {
    let mut metrics = Metrics::default();
    for minute in 0..MINUTES {
        for one in seen
            .iter()
            .filter(|one| minute % 60 == 0 || !HOURLY_JOBS.contains(&one.function.as_str()))
        {
            metrics.add(minute, &one.data);
            metrics.add(minute, &of_queue(one, minute));
        }
        for (_, namespace, name, dimensions, _, good) in OF_AWS {
            metrics.add(minute, &[Datum::new(namespace, name, dimensions, good)]);
        }
    }
    metrics
}

/// What SQS measures of a consumer's queue: a message that fails waits, and is a dead letter in the
/// end.
fn of_queue(seen: &Seen, minute: i64) -> Vec<Datum> {
    let Some((_, queue)) = CONSUMERS
        .iter()
        .find(|(consumer, _)| *consumer == seen.function)
    else {
        return Vec::new();
    };
    let fails = seen
        .answer
        .as_ref()
        .is_none_or(|answer| answer["batchItemFailures"] != json!([]));
    let age_seconds = if fails { minute * 60 } else { 0 };
    let dead_letters = i64::from(fails && minute >= RECEIVED_MINUTES);
    let (queue, dead) = (format!("telecom-{queue}"), format!("telecom-{queue}-dlq"));
    let of_sqs = |name, queue: &str, value: i64| {
        Datum::new("AWS/SQS", name, &[("QueueName", queue)], value as f64)
    };
    vec![
        of_sqs("ApproximateAgeOfOldestMessage", &queue, age_seconds),
        of_sqs("ApproximateNumberOfMessagesVisible", &dead, dead_letters),
    ]
}

fn firing(seen: &[Seen]) -> BTreeSet<String> {
    Deployed::with_version("$LATEST").firing(&lasting(seen), MINUTES)
}

/// What is seen, with newer observations in place of older ones of the same functions.
fn instead(mut seen: Vec<Seen>, newer: Vec<Seen>) -> Vec<Seen> {
    seen.retain(|one| newer.iter().all(|other| other.function != one.function));
    seen.into_iter().chain(newer).collect()
}

#[test]
fn every_alarm_has_a_break_that_sets_it_off() {
    let of_aws: Vec<&str> = OF_AWS.iter().map(|(alarm, ..)| *alarm).collect();
    let broken = [
        &of_aws[..],
        &STANDING_STILL,
        &UNMEASURED,
        &OF_MESSAGES,
        &FAILURES,
        &ERRORS,
        &REJECTED,
        &["CollectionStopped", "ReportsQuarantined", "UsageDrift"],
    ];
    assert_eq!(Deployed::with_version("$LATEST").alarms(), names(&broken));
}

#[test]
fn what_aws_measures_sets_off_its_alarm_and_no_other() {
    for (alarm, namespace, name, dimensions, trouble, good) in OF_AWS {
        let of = |value: f64| {
            let mut metrics = Metrics::default();
            (0..MINUTES).for_each(|minute| {
                metrics.add(minute, &[Datum::new(namespace, name, dimensions, value)])
            });
            Deployed::with_version("$LATEST").firing(&metrics, MINUTES)
        };
        let difference: Vec<String> = of(trouble)
            .symmetric_difference(&of(good))
            .cloned()
            .collect();
        assert_eq!(difference, [alarm]);
        assert!(!of(good).contains(alarm), "{alarm}");
    }
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn no_alarm_fires_while_everything_works(pool: PgPool) {
    let world = world(pool).await;
    let functions = Functions::over(&world.pool);
    let seen = run_all(&functions, &[]).await;
    assert_eq!(firing(&seen), BTreeSet::new(), "{seen:#?}");
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn an_outage_of_the_database_sets_off_every_alarm_on_functions(pool: PgPool) {
    drop(world(pool).await);
    // `record-node-status-history` tries again for a minute. Until then it has completed nothing,
    // as if it were not started.
    let seen = run_with(&Functions::without_database(), &[], &HOURLY_JOBS[1..]).await;
    assert_eq!(
        firing(&seen),
        names(&[
            &ERRORS,
            &FAILURES,
            &OF_MESSAGES,
            &STANDING_STILL,
            &UNMEASURED
        ]),
        "{seen:#?}"
    );
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn an_outage_that_begins_later_is_not_hidden_by_old_measurements(pool: PgPool) {
    let world = world(pool).await;
    let functions = Functions::over(&world.pool);
    let before = run_all(&functions, &[]).await;
    assert_eq!(firing(&before), BTreeSet::new(), "{before:#?}");
    // The same processes, which remember what they measured.
    world.sql("alter schema telecom rename to broken").await;
    let seen = run_all(&functions, &[]).await;
    assert_eq!(
        firing(&seen),
        names(&[
            &ERRORS,
            &FAILURES,
            &OF_MESSAGES,
            &STANDING_STILL,
            &UNMEASURED
        ]),
        "{seen:#?}"
    );
    // A release is compared by its version: that of before is not this one.
    let of_another = Deployed::with_version("7").firing(&lasting(&seen), MINUTES);
    assert!(
        FAILURES.iter().all(|alarm| !of_another.contains(*alarm)),
        "{of_another:?}"
    );
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn poison_messages_are_noticed_before_they_are_dead_letters(pool: PgPool) {
    let world = world(pool).await;
    let functions = Functions::over(&world.pool);
    let among_good = run_all(&functions, &["{}"]).await;
    let rare = [&REJECTED[..], &OF_MESSAGES].concat();
    let mostly_bad = run_all(&functions, &["{}", "[]", "nonsense"]).await;
    assert_eq!(
        firing(&mostly_bad),
        names(&[&rare, &FAILURES]),
        "{mostly_bad:#?}"
    );
    // Half of two messages fail, which is as good as most; of ten it is an ordinary bad message.
    let mut bodies: Vec<String> = (0..9).map(|_| good("ingest-usage-report")).collect();
    bodies.push("{}".to_owned());
    let seen = instead(
        among_good,
        vec![functions.deliver("ingest-usage-report", &bodies).await],
    );
    let fired = firing(&seen);
    assert!(
        fired.contains("UsageReportRejected") && !fired.contains("IngestUsageReportFailures"),
        "{fired:?}"
    );
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn an_outbox_that_nothing_leaves_is_noticed(pool: PgPool) {
    let world = world(pool).await;
    let functions = Functions::over(&world.pool);
    let seen = run_all(&functions, &[]).await;
    world
        .sql(
            "insert into telecom.outbox (id, destination, body, created_at, send_after)
             values (gen_random_uuid(), 'user_usage_billing', '{}', now() - interval '20 minutes',
             now() - interval '1 minute')",
        )
        .await;
    let seen = instead(seen, run(&functions, &["sweep-outbox"]).await);
    assert_eq!(
        firing(&seen),
        names(&[&["OutboxAge", "SweepStandsStill"]]),
        "{seen:#?}"
    );
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_report_that_no_run_bills_is_noticed_though_all_runs_complete(pool: PgPool) {
    let world = world(pool).await;
    let functions = Functions::over(&world.pool);
    let seen = run_all(&functions, &[]).await;
    functions
        .deliver("ingest-usage-report", &[good("ingest-usage-report")])
        .await;
    world
        .sql(
            "update telecom.usage_report set received_at = now() - interval '11 minutes' \
            where billing_run_id is null",
        )
        .await;
    let mut held = world.pool.begin().await.unwrap();
    sqlx::query("select from telecom.usage_report for update")
        .execute(&mut *held)
        .await
        .unwrap();
    let seen = instead(seen, run(&functions, &["bill-traffic"]).await);
    assert_eq!(firing(&seen), names(&[&["BillingLag"]]), "{seen:#?}");
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_lock_that_is_never_released_is_noticed(pool: PgPool) {
    let world = world(pool).await;
    let functions = Functions::over(&world.pool);
    let seen = run_all(&functions, &[]).await;
    let mut held = world.pool.begin().await.unwrap();
    for job in [
        "expire_packages",
        "refresh_server_status",
        "refresh_node_status_view",
    ] {
        let lock = sqlx::query("select pg_advisory_xact_lock(hashtextextended($1, 0))").bind(job);
        lock.execute(&mut *held).await.unwrap();
    }
    let locked = [
        "expire-packages",
        "refresh-server-status",
        "refresh-node-status-view",
    ];
    let seen = instead(seen, run(&functions, &locked).await);
    assert_eq!(
        firing(&seen),
        names(&[&["ExpiryStandsStill", "WatchStandsStill", "ViewStandsStill"]]),
        "{seen:#?}"
    );
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn jobs_that_are_never_started_are_noticed(pool: PgPool) {
    let world = world(pool).await;
    let mut seen = run_all(&Functions::over(&world.pool), &[]).await;
    seen.retain(|one| {
        CONSUMERS
            .iter()
            .any(|(consumer, _)| *consumer == one.function)
    });
    assert_eq!(firing(&seen), names(&[&STANDING_STILL, &UNMEASURED]));
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_collection_that_stopped_is_noticed(pool: PgPool) {
    let world = world(pool).await;
    let functions = Functions::over(&world.pool);
    let seen = run_all(&functions, &[]).await;
    world.server(2, &[]).await;
    let silent = System.now() - TimeDelta::minutes(20);
    world
        .sql("update telecom.node_server set status = 'online'")
        .await;
    world.sql("delete from telecom.usage_report").await;
    world
        .sql(&format!(
            "insert into telecom.node_server_heartbeat (node_server_id, last_online_at) select id,
        '{silent}' from telecom.node_server
         on conflict (node_server_id) do update set last_online_at = excluded.last_online_at"
        ))
        .await;
    world
        .sql("update telecom.node_status_watch set heard_from = now() - interval '1 day'")
        .await;
    let seen = instead(seen, run(&functions, &["refresh-server-status"]).await);
    assert_eq!(firing(&seen), names(&[&["CollectionStopped"]]), "{seen:#?}");
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn usage_that_stays_parked_is_noticed(pool: PgPool) {
    let world = world(pool).await;
    let functions = Functions::over(&world.pool);
    let seen = run_all(&functions, &[]).await;
    world
        .sql(
            "insert into telecom.parked_event (user_id, bucket_start, node_server_id,
            raw_upload_bytes, raw_download_bytes,
                billed_upload_bytes, billed_download_bytes, reason, parked_at, retry_at)
             values (gen_random_uuid(), now(), 1, 1, 1, 1, 1, 'locked',
             now() - interval '11 minutes', now() + interval '1 hour')",
        )
        .await;
    let seen = instead(seen, run(&functions, &["bill-traffic"]).await);
    assert_eq!(firing(&seen), names(&[&["ParkedEvents"]]), "{seen:#?}");
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_report_in_quarantine_is_noticed(pool: PgPool) {
    let world = world(pool).await;
    let functions = Functions::over(&world.pool);
    let seen = run_all(&functions, &[]).await;
    let bytes = 1_i64 << 50;
    let implausible = report_of(
        Uuid::new_v4().as_u128(),
        1,
        System.now(),
        &[(user(1), bytes, bytes)],
    )
    .to_string();
    let seen = instead(
        seen,
        vec![
            functions
                .deliver("ingest-usage-report", &[implausible])
                .await,
        ],
    );
    assert_eq!(
        firing(&seen),
        names(&[&["ReportsQuarantined"]]),
        "{seen:#?}"
    );
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_row_changed_by_hand_is_noticed(pool: PgPool) {
    let world = world(pool).await;
    let functions = Functions::over(&world.pool);
    let seen = run_all(&functions, &[]).await;
    world
        .sql("update telecom.package_queue set upload_bytes = upload_bytes + 1")
        .await;
    let seen = instead(seen, run(&functions, &["reconcile-usage"]).await);
    assert_eq!(firing(&seen), names(&[&["UsageDrift"]]), "{seen:#?}");
}
