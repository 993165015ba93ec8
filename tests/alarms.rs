//! Each alarm fires when its subject breaks, and only then. The definitions are those of the
//! templates. The metrics are those that the functions write, run as processes. The metrics of AWS
//! itself are derived from what the functions returned or, where no function is involved, listed
//! in `aws_metrics.rs`.
#![allow(
    missing_docs,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::as_conversions,
    clippy::cast_precision_loss
)]

#[path = "alarms/aws_metrics.rs"]
mod aws_metrics;
#[path = "alarms/cloudwatch.rs"]
mod cloudwatch;
#[path = "template/document.rs"]
mod document;
#[path = "alarms/functions.rs"]
mod functions;
#[path = "template/jobs.rs"]
mod jobs;
#[path = "alarms/lists.rs"]
mod lists;
#[path = "alarms/timing.rs"]
mod timing;
#[path = "alarms/webhooks.rs"]
mod webhooks;

use std::collections::BTreeSet;
use std::sync::LazyLock;

use chrono::TimeDelta;
use futures::future::join_all;
use serde_json::{Value, json};
use shared::clock::{Clock, System};
use shared::db::maintenance;
use sqlx::PgPool;
use telecom_tests::report::report_of;
use telecom_tests::webhook::entry;
use telecom_tests::{GIB, World, user};
use uuid::Uuid;

use aws_metrics::{AWS_METRICS, of_queue};
use cloudwatch::{Deployed, Metrics};
use functions::{Functions, Seen};
use lists::{CONSUMERS, ERRORS, FAILURES, OF_MESSAGES, REJECTED, UNMEASURED};
use timing::{groups_of_jobs, runs_in};

/// Minutes that a state lasts before alarms are evaluated.
static MINUTES: LazyLock<i64> =
    LazyLock::new(|| Deployed::with_version("$LATEST").longest_minutes());

/// The alarms that fire when every function fails.
fn outage() -> BTreeSet<String> {
    &names(&[&ERRORS, &FAILURES, &OF_MESSAGES, &UNMEASURED]) | &standing_still()
}

/// The alarms that fire when no job finishes its work. Each job has one.
fn standing_still() -> BTreeSet<String> {
    Deployed::with_version("$LATEST").alarms_on("JobsCompleted")
}

fn names(alarms: &[&[&str]]) -> BTreeSet<String> {
    alarms.concat().into_iter().map(str::to_owned).collect()
}

/// A world at the current time with a server, and a user with an active package.
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

/// A valid message for a consumer.
fn good(function: &str) -> String {
    let (now, id) = (System.now(), Uuid::new_v4());
    let body = match function {
        "ingest-usage-report" => report_of(id.as_u128(), 1, now, &[(user(1), 1, 1)]),
        "ingest-node-usage" => push(&[(1, 1, 1)]),
        "apply-user-usage-billing" => json!({
            "event_id": id, "server_id": 1, "user": user(1), "billed_download": 1,
                "billed_upload": 1, "time": now.timestamp(),
        }),
        "deliver-package-order" => json!({ "type": "package.order_cancelled.v1", "order_id": id }),
        "record-webhook-deliveries" => return entry(id.as_u128() >> 8, "PackageExpired"),
        _ => {
            json!({ "event_id": id, "package_queue_id": 1, "user": user(1), "reason": "time",
                "time": now })
        }
    };
    body.to_string()
}

/// A push that arrives now.
fn push(rows: &[(i32, i64, i64)]) -> Value {
    let push = telecom_tests::push::push(Uuid::new_v4().as_u128(), 0.0, rows);
    push.with("/arrived_at", json!(System.now())).body()
}

async fn run(functions: &Functions, jobs: &[&str]) -> Vec<Seen> {
    join_all(jobs.iter().map(|job| functions.invoke(job, Value::Null))).await
}

/// Runs each consumer with a valid message besides `others`, and each job.
async fn run_all(functions: &Functions, others: &[&str]) -> Vec<Seen> {
    run_except(functions, others, &[]).await
}

async fn run_except(functions: &Functions, others: &[&str], skipped: &[&str]) -> Vec<Seen> {
    let deliveries = CONSUMERS.map(|(consumer, _)| {
        let mut bodies: Vec<String> = others.iter().map(|body| (*body).to_owned()).collect();
        bodies.push(good(consumer));
        async move { functions.deliver(consumer, &bodies).await }
    });
    let mut seen = join_all(deliveries).await;
    for mut jobs in groups_of_jobs() {
        jobs.retain(|job| !skipped.contains(job));
        seen.extend(run(functions, &jobs).await);
    }
    seen
}

/// A world, the functions over it, and what each of them does without a fault.
async fn working(pool: PgPool) -> (World, Functions, Vec<Seen>) {
    let world = world(pool).await;
    let functions = Functions::over(&world.pool);
    let seen = run_all(&functions, &[]).await;
    (world, functions, seen)
}

/// The metrics if every invocation repeats with the same outcome: those of consumers every minute,
/// those of jobs on their schedules.
fn lasting(seen: &[Seen]) -> Metrics {
    let mut metrics = Metrics::default();
    for minute in 0..*MINUTES {
        for one in seen.iter().filter(|one| runs_in(&one.function, minute)) {
            metrics.add(minute, &one.data);
            metrics.add(minute, &of_queue(one, minute));
        }
        for metric in &AWS_METRICS {
            metrics.add(minute, &[metric.datum(metric.good)]);
        }
    }
    metrics
}

fn firing(seen: &[Seen]) -> BTreeSet<String> {
    Deployed::with_version("$LATEST").firing(&lasting(seen), *MINUTES)
}

/// Replaces observations by newer ones of the same functions.
fn replaced(mut seen: Vec<Seen>, newer: Vec<Seen>) -> Vec<Seen> {
    seen.retain(|one| newer.iter().all(|other| other.function != one.function));
    seen.into_iter().chain(newer).collect()
}

#[test]
fn every_alarm_has_a_fault_that_triggers_it() {
    let of_aws: Vec<&str> = AWS_METRICS.iter().map(|metric| metric.alarm).collect();
    let broken = [
        &of_aws[..],
        &UNMEASURED,
        &OF_MESSAGES,
        &FAILURES,
        &ERRORS,
        &REJECTED,
        &[
            "CollectionStopped",
            "PushesQuarantined",
            "ReportsQuarantined",
            "UsageDrift",
            "WebhookFailures",
        ],
    ];
    let deployed = Deployed::with_version("$LATEST").alarms();
    assert_eq!(deployed, &names(&broken) | &standing_still());
}

#[test]
fn each_metric_of_aws_triggers_only_its_alarm() {
    for metric in &AWS_METRICS {
        let of = |value: f64| {
            let mut metrics = Metrics::default();
            (0..*MINUTES).for_each(|minute| metrics.add(minute, &[metric.datum(value)]));
            Deployed::with_version("$LATEST").firing(&metrics, *MINUTES)
        };
        let difference: Vec<String> = of(metric.bad)
            .symmetric_difference(&of(metric.good))
            .cloned()
            .collect();
        assert_eq!(difference, [metric.alarm]);
        assert!(!of(metric.good).contains(metric.alarm), "{}", metric.alarm);
    }
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn no_alarm_fires_while_everything_works(pool: PgPool) {
    let (_, _, seen) = working(pool).await;
    assert_eq!(firing(&seen), BTreeSet::new(), "{seen:#?}");
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_database_outage_triggers_every_alarm_on_functions(pool: PgPool) {
    drop(world(pool).await);
    // `record-node-status-history` retries for a minute. Until then it has completed nothing, as if
    // it had not been started.
    let functions = Functions::without_database();
    let seen = run_except(&functions, &[], &["record-node-status-history"]).await;
    assert_eq!(firing(&seen), outage(), "{seen:#?}");
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn earlier_measurements_do_not_hide_a_later_outage(pool: PgPool) {
    let (world, functions, before) = working(pool).await;
    assert_eq!(firing(&before), BTreeSet::new(), "{before:#?}");
    // The processes are the same and still know their earlier measurements.
    world.sql("alter schema telecom rename to broken").await;
    let seen = run_all(&functions, &[]).await;
    assert_eq!(firing(&seen), outage(), "{seen:#?}");
    // A release is compared by its version, and the failures are not those of version 7.
    let of_another = Deployed::with_version("7").firing(&lasting(&seen), *MINUTES);
    assert!(
        FAILURES.iter().all(|alarm| !of_another.contains(*alarm)),
        "{of_another:?}"
    );
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn poison_messages_trigger_alarms_before_they_are_dead_letters(pool: PgPool) {
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
    // One bad message of two counts as most of them failing. One of ten is an ordinary bad message.
    let mut bodies: Vec<String> = (0..9).map(|_| good("ingest-usage-report")).collect();
    bodies.push("{}".to_owned());
    let seen = replaced(
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
async fn a_stuck_outbox_triggers_its_alarms(pool: PgPool) {
    let (world, functions, seen) = working(pool).await;
    world
        .sql(
            "insert into telecom.outbox (id, destination, body, created_at, send_after)
             values (gen_random_uuid(), 'user_usage_billing', '{}', now() - interval '20 minutes',
             now() - interval '1 minute')",
        )
        .await;
    let seen = replaced(seen, run(&functions, &["sweep-outbox"]).await);
    assert_eq!(
        firing(&seen),
        names(&[&["OutboxAge", "SweepStandsStill"]]),
        "{seen:#?}"
    );
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn an_unbilled_report_triggers_an_alarm_though_all_runs_complete(pool: PgPool) {
    let (world, functions, seen) = working(pool).await;
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
    let seen = replaced(seen, run(&functions, &["bill-traffic"]).await);
    assert_eq!(firing(&seen), names(&[&["BillingLag"]]), "{seen:#?}");
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_lock_that_is_never_released_triggers_alarms(pool: PgPool) {
    let (world, functions, seen) = working(pool).await;
    let mut held = world.pool.begin().await.unwrap();
    for job in [
        "expire_packages",
        "apply_package_extensions",
        "refresh_server_status",
        "refresh_node_status_view",
    ] {
        let lock = sqlx::query("select pg_advisory_xact_lock(hashtextextended($1, 0))").bind(job);
        lock.execute(&mut *held).await.unwrap();
    }
    let locked = [
        "expire-packages",
        "apply-package-extensions",
        "refresh-server-status",
        "refresh-node-status-view",
    ];
    let seen = replaced(seen, run(&functions, &locked).await);
    assert_eq!(
        firing(&seen),
        names(&[&[
            "ExpiryStandsStill",
            "ExtensionsStandStill",
            "WatchStandsStill",
            "ViewStandsStill"
        ]]),
        "{seen:#?}"
    );
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn jobs_that_are_never_started_trigger_alarms(pool: PgPool) {
    let (_, _, mut seen) = working(pool).await;
    seen.retain(|one| {
        CONSUMERS
            .iter()
            .any(|(consumer, _)| *consumer == one.function)
    });
    assert_eq!(firing(&seen), &names(&[&UNMEASURED]) | &standing_still());
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_stopped_collection_triggers_its_alarm(pool: PgPool) {
    let (world, functions, seen) = working(pool).await;
    world.server(2, &[]).await;
    let silent = System.now() - TimeDelta::minutes(20);
    let last_heard = format!(
        "insert into telecom.node_server_heartbeat (node_server_id, last_online_at)
        select id, '{silent}' from telecom.node_server
        on conflict (node_server_id) do update set last_online_at = excluded.last_online_at"
    );
    for sql in [
        "update telecom.node_server set status = 'online'",
        "delete from telecom.usage_report",
        &last_heard,
        "update telecom.node_status_watch set heard_from = now() - interval '1 day'",
    ] {
        world.sql(sql).await;
    }
    let seen = replaced(seen, run(&functions, &["refresh-server-status"]).await);
    assert_eq!(firing(&seen), names(&[&["CollectionStopped"]]), "{seen:#?}");
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn usage_that_stays_parked_triggers_its_alarm(pool: PgPool) {
    let (world, functions, seen) = working(pool).await;
    world
        .sql(
            "insert into telecom.parked_event (user_id, bucket_start, node_server_id,
            raw_upload_bytes, raw_download_bytes,
                billed_upload_bytes, billed_download_bytes, reason, parked_at, retry_at)
             values (gen_random_uuid(), now(), 1, 1, 1, 1, 1, 'locked',
             now() - interval '11 minutes', now() + interval '1 hour')",
        )
        .await;
    let seen = replaced(seen, run(&functions, &["bill-traffic"]).await);
    assert_eq!(firing(&seen), names(&[&["ParkedEvents"]]), "{seen:#?}");
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_report_in_quarantine_triggers_its_alarm(pool: PgPool) {
    let (_world, functions, seen) = working(pool).await;
    let usage = [(user(1), 1_i64 << 50, 1_i64 << 50)];
    let implausible = report_of(Uuid::new_v4().as_u128(), 1, System.now(), &usage).to_string();
    let reported = functions
        .deliver("ingest-usage-report", &[implausible])
        .await;
    let seen = replaced(seen, vec![reported]);
    assert_eq!(
        firing(&seen),
        names(&[&["ReportsQuarantined"]]),
        "{seen:#?}"
    );
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_push_in_quarantine_triggers_its_alarm(pool: PgPool) {
    let (_world, functions, seen) = working(pool).await;
    let implausible = push(&[(1, 1 << 50, 1 << 50)]).to_string();
    let pushed = functions.deliver("ingest-node-usage", &[implausible]).await;
    let seen = replaced(seen, vec![pushed]);
    assert_eq!(firing(&seen), names(&[&["PushesQuarantined"]]), "{seen:#?}");
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_row_changed_by_hand_triggers_its_alarm(pool: PgPool) {
    let (world, functions, seen) = working(pool).await;
    world
        .sql("update telecom.package_queue set upload_bytes = upload_bytes + 1")
        .await;
    let seen = replaced(seen, run(&functions, &["reconcile-usage"]).await);
    assert_eq!(firing(&seen), names(&[&["UsageDrift"]]), "{seen:#?}");
}
