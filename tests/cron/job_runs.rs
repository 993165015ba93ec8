//! Every run of a job is recorded with its end, and no record decides how a job ends.

use std::time::Duration;

use async_trait::async_trait;
use chrono::TimeDelta;
use lambda_runtime::{Context as Invocation, LambdaEvent};
use serde_json::{Value, json};
use shared::clock::{Clock, System};
use shared::domain::job_run::JobName;
use shared::error::Error;
use shared::lambda::schedule;
use shared::services::Processor;
use shared::services::cron::bill_traffic::BillTrafficJob;
use shared::services::cron::job_runs::JobRuns;
use shared::services::cron::{Job, Run};
use sqlx::PgPool;
use telecom_tests::report::{report, texts};
use telecom_tests::{NOW, World, at, unreachable_pool, until, user};
use tokio::sync::Notify;

use super::bill_traffic::assert_all_accepted;

/// A job whose service decides what its runs do.
struct Made;

impl Made {
    fn of(_: Run) -> Self {
        Self
    }
}

impl Job for Made {
    const NAME: JobName = JobName::SweepOutbox;
}

enum Service {
    Returns(Value),
    Fails(fn() -> Error),
    Panics,
    WaitsFor(Notify),
}

#[async_trait]
impl Processor<Made> for Service {
    type Output = Value;

    async fn process(&self, _: Made) -> Result<Value, Error> {
        match self {
            Self::Returns(report) => Ok(report.clone()),
            Self::Fails(error) => Err(error()),
            Self::Panics => panic!("a bug"),
            Self::WaitsFor(event) => {
                event.notified().await;
                Ok(json!({}))
            }
        }
    }
}

/// An invocation with a minute until its deadline.
fn invocation(request_id: &str) -> LambdaEvent<Value> {
    let mut context = Invocation::default();
    request_id.clone_into(&mut context.request_id);
    let deadline_ms = System.now().timestamp_millis() + 60_000;
    context.deadline = deadline_ms.try_into().unwrap();
    LambdaEvent::new(json!({}), context)
}

async fn invoke(runs: &JobRuns, service: &Service) -> Result<Value, Error> {
    schedule::invoke(service, runs, Made::of, invocation("a-request")).await
}

fn runs_of(world: &World) -> JobRuns {
    JobRuns::new(world.writer.clone(), world.context())
}

/// The recorded runs by id, without what differs from run to run.
async fn recorded(world: &World) -> Vec<Value> {
    sqlx::query_scalar(
        "select jsonb_strip_nulls(to_jsonb(r) - '{id,deadline_at}'::text[])
         from telecom.job_run r order by id",
    )
    .fetch_all(&world.pool)
    .await
    .unwrap()
}

fn row(outcome: &str, rest: &Value) -> Value {
    let mut row = json!({ "job": "sweep-outbox", "request_id": "a-request",
        "started_at": "2026-03-10T10:30:00+00:00", "ended_at": "2026-03-10T10:30:00+00:00",
        "outcome": outcome });
    let fields = row.as_object_mut().unwrap();
    fields.extend(rest.as_object().unwrap().clone());
    row
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn each_run_is_recorded_with_how_it_ended(pool: PgPool) {
    let world = World::new(pool).await;
    let runs = runs_of(&world);
    let done = json!({ "sent": 3 });
    let some = json!({ "sent": 3, "complete": false, "lag_seconds": 7 });
    let all = json!({ "sent": 4, "complete": true, "lag_seconds": 0 });
    for report in [&done, &some, &all] {
        let service = Service::Returns(report.clone());
        assert_eq!(invoke(&runs, &service).await.unwrap(), *report);
    }
    let outage = || Error::unavailable("unreachable");
    let failed = invoke(&runs, &Service::Fails(outage)).await.unwrap_err();
    let panicked = invoke(&runs, &Service::Panics).await.unwrap_err();
    assert_eq!(
        (failed.code(), panicked.code()),
        ("unavailable", "internal")
    );
    assert_eq!(
        recorded(&world).await,
        [
            row("completed", &json!({ "counts": done })),
            row("incomplete", &json!({ "counts": some, "lag_seconds": 7 })),
            row("completed", &json!({ "counts": all, "lag_seconds": 0 })),
            row("failed", &json!({ "error_code": "unavailable" })),
            row("failed", &json!({ "error_code": "internal" })),
        ]
    );
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_killed_run_stays_recorded_without_an_end(pool: PgPool) {
    let world = World::new(pool).await;
    let runs = runs_of(&world);
    let hanging = Service::WaitsFor(Notify::new());
    let killed = tokio::time::timeout(Duration::from_millis(500), invoke(&runs, &hanging)).await;
    assert!(killed.is_err());
    let open = json!({ "job": "sweep-outbox", "request_id": "a-request",
        "started_at": "2026-03-10T10:30:00+00:00", "outcome": "running" });
    assert_eq!(recorded(&world).await, [open]);
    // The function would have ended the run at this time.
    let seconds = "select round(extract(epoch from deadline_at - started_at))::bigint
        from telecom.job_run";
    assert!((58..=60).contains(&world.number(seconds).await));
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn two_runs_at_once_are_recorded_separately(pool: PgPool) {
    let world = World::new(pool).await;
    let runs = runs_of(&world);
    let waiting = Service::WaitsFor(Notify::new());
    let Service::WaitsFor(event) = &waiting else {
        unreachable!()
    };
    let quick = Service::Returns(json!({ "sent": 1 }));
    let second = async {
        let open = "select count(*) from telecom.job_run where outcome = 'running'";
        until("the first run is recorded", async || {
            world.number(open).await == 1
        })
        .await;
        invoke(&runs, &quick).await.unwrap();
        assert_eq!(world.number(open).await, 1);
        event.notify_one();
    };
    let (first, ()) = tokio::join!(invoke(&runs, &waiting), second);
    first.unwrap();
    let completed = "select count(distinct id) from telecom.job_run where outcome = 'completed'";
    assert_eq!(world.number(completed).await, 2);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_job_runs_although_its_runs_cannot_be_recorded(pool: PgPool) {
    let world = World::new(pool).await;
    let report = json!({ "sent": 1 });
    let service = Service::Returns(report.clone());
    let unreachable = JobRuns::new(unreachable_pool(), world.context());
    assert_eq!(invoke(&unreachable, &service).await.unwrap(), report);
    world
        .sql("revoke insert on telecom.job_run from telecom_writer")
        .await;
    let refused = runs_of(&world);
    assert_eq!(invoke(&refused, &service).await.unwrap(), report);
    let failed = invoke(&refused, &Service::Fails(|| Error::internal("a bug"))).await;
    assert_eq!(failed.unwrap_err().code(), "internal");
    assert_eq!(recorded(&world).await, Vec::<Value>::new());
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn an_end_is_recorded_although_its_start_was_not(pool: PgPool) {
    let world = World::new(pool).await;
    let mut lock = world.pool.begin().await.unwrap();
    sqlx::query("lock table telecom.job_run")
        .execute(&mut *lock)
        .await
        .unwrap();
    let waiting = Service::WaitsFor(Notify::new());
    let Service::WaitsFor(event) = &waiting else {
        unreachable!()
    };
    // The record of the start gives up before the job begins. Then the table is free again.
    let release = async {
        tokio::time::sleep(Duration::from_millis(2_500)).await;
        lock.rollback().await.unwrap();
        event.notify_one();
    };
    let runs = runs_of(&world);
    let (run, ()) = tokio::join!(invoke(&runs, &waiting), release);
    run.unwrap();
    assert_eq!(
        recorded(&world).await,
        [row("completed", &json!({ "counts": {} }))]
    );
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn the_lag_of_billing_is_the_age_of_the_oldest_unbilled_report(pool: PgPool) {
    let world = World::new(pool).await;
    let runs = runs_of(&world);
    assert_all_accepted(&world, &texts(&[report(1, &[(user(1), 10, 0)])])).await;
    world.clock.set(at(NOW) + TimeDelta::seconds(30));
    assert_all_accepted(&world, &texts(&[report(2, &[(user(1), 10, 0)])])).await;
    world.clock.set(at(NOW) + TimeDelta::seconds(90));
    // Another transaction holds the older report, so that only the other one is billed.
    let mut lock = world.pool.begin().await.unwrap();
    sqlx::query("select from telecom.usage_report order by seq limit 1 for update")
        .execute(&mut *lock)
        .await
        .unwrap();
    let bill = async || {
        schedule::invoke(
            &world.cron(),
            &runs,
            BillTrafficJob,
            invocation("a-request"),
        )
        .await
        .unwrap()
    };
    let blocked = bill().await;
    lock.rollback().await.unwrap();
    let billed = bill().await;
    assert_eq!(
        (&blocked["reports"], &blocked["lag_seconds"]),
        (&json!(1), &json!(90))
    );
    assert_eq!(
        (&billed["reports"], &billed["lag_seconds"]),
        (&json!(1), &json!(0))
    );
    let lags: Vec<i64> = sqlx::query_scalar("select lag_seconds from telecom.job_run order by id")
        .fetch_all(&world.pool)
        .await
        .unwrap();
    assert_eq!(lags, [90, 0]);
}
