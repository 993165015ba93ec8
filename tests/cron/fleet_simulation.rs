//! Ninety days of a fleet of 200 servers with random outages and reports that come late, twice and from the future: what
//! was recorded in the end is what happened.
//!
//! An hour here is what a minute is by default: each server reports once an hour, the job runs once an hour, and the
//! timeout and the window are 5 and 2 hours.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::json;
use shared::config::{NodeHealthCheck, TelecomConfig};
use shared::services::Processor;
use shared::services::cron::refresh_server_status::{RefreshServerStatus, Refreshed};
use shared::services::cron::{Run, TelecomCronExecutor};
use sqlx::PgPool;
use telecom_tests::report::report_of;
use telecom_tests::{NOW, World, at, unreachable_publisher};
use uuid::Uuid;

const SERVERS: i32 = 200;
const HOURS: i64 = 90 * 24;
const TIMEOUT_HOURS: i64 = 5;

type Minutes = i64;

/// An outage: the minutes of the last report before it and of the first one after it.
type Outage = (Minutes, Minutes);

/// When a server was down, `[from, to)`, in hours: short outages that nobody should notice, and long ones; none of a
/// length of which only chance decides whether a run of the job sees it.
fn downtimes(rng: &mut ChaCha8Rng) -> Vec<(i64, i64)> {
    let mut downtimes = Vec::new();
    let mut hour = rng.random_range(6..200);
    while hour < HOURS - 100 {
        let length = if rng.random_bool(0.4) { rng.random_range(1..=2) } else { rng.random_range(9..60) };
        downtimes.push((hour, hour + length));
        hour += length + rng.random_range(12..300);
    }
    downtimes
}

/// What a server sends, `(arrives, period's end, report id)` in minutes, and the outages that it has.
fn script(server: i32, rng: &mut ChaCha8Rng) -> (Vec<(Minutes, Minutes, Uuid)>, Vec<Outage>) {
    let (phase, downtimes) = (rng.random_range(0..60), downtimes(rng));
    let is_up = |hour: i64| !downtimes.iter().any(|&(from, to)| (from..to).contains(&hour));
    let mut sent = Vec::new();
    let mut outages = Vec::new();
    let mut last: Option<Minutes> = None;
    for hour in (0..HOURS).filter(|&hour| is_up(hour)) {
        let end = hour * 60 + phase;
        // The first report after an outage comes at once: it is what the outage's end is measured by.
        let back = last.is_none_or(|last| end - last > 60);
        let delay = if !back && rng.random_bool(0.02) { rng.random_range(60..1_440) } else { rng.random_range(0..3) };
        let ahead = if rng.random_bool(0.02) { 4 } else { 0 };
        let id = Uuid::from_u64_pair(u64::try_from(server).unwrap(), u64::try_from(hour).unwrap());
        sent.push((end + delay, end + ahead.min(delay + 4), id));
        if rng.random_bool(0.03) {
            sent.push((end + delay + rng.random_range(0..600), end + ahead.min(delay + 4), id));
        }
        if let Some(last) = last.filter(|last| end - last > TIMEOUT_HOURS * 60) {
            outages.push((last, end));
        }
        last = Some(end);
    }
    (sent, outages)
}

fn minute(at_minutes: Minutes) -> DateTime<Utc> {
    at(NOW) + TimeDelta::minutes(at_minutes)
}

fn job(world: &World) -> TelecomCronExecutor {
    let hours = |hours: u64| Duration::from_secs(hours * 3_600);
    let node_health_check = NodeHealthCheck { offline_timeout: hours(5), recovery_window: hours(2) };
    let config = TelecomConfig { node_health_check, ..TelecomConfig::default() };
    TelecomCronExecutor::new(world.pool.clone(), unreachable_publisher(), world.context(), config)
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn what_is_recorded_of_90_days_of_outages_is_what_happened(pool: PgPool) {
    let world = World::new(pool).await;
    world.sql("insert into telecom.node_server (id, name, compatibility) select n, 's', 'ssp' from generate_series(2, 200) n").await;
    let mut rng = ChaCha8Rng::seed_from_u64(4);
    let mut arrivals: BTreeMap<i64, Vec<String>> = BTreeMap::new();
    let mut truth: Vec<Vec<Outage>> = Vec::new();
    for server in 1..=SERVERS {
        let (sent, outages) = script(server, &mut rng);
        for (arrives, end, id) in sent {
            let mut body = report_of(0, server, minute(end), &[]);
            body["report_id"] = json!(id);
            arrivals.entry(arrives.div_euclid(60) + 1).or_default().push(body.to_string());
        }
        truth.push(outages);
    }
    let mut said = 0;
    for hour in 1..=HOURS {
        world.clock.set(minute(hour * 60));
        let bodies = arrivals.remove(&hour).unwrap_or_default();
        assert_eq!(world.report(&bodies).await, Vec::<String>::new());
        let run = || async { job(&world).process(RefreshServerStatus(Run::default())).await.unwrap() };
        // Now and then two run at once; what either says is in the outbox.
        let (one, other) =
            if hour % 50 == 0 { tokio::join!(run(), run()) } else { (run().await, Refreshed::default()) };
        said += one.online + one.offline + other.online + other.offline;
    }
    let mut expected = usize::try_from(SERVERS).unwrap();
    for (server, outages) in (1..).zip(&truth) {
        let recorded = recorded(&world, server).await;
        assert_eq!(recorded.len(), outages.len(), "server {server}: {recorded:?} is not {outages:?}");
        for (&(since, until), &(last, first)) in recorded.iter().zip(outages) {
            // A report is at most 4 minutes ahead; the last one before an outage may come after it, which is then too late;
            // the end is seen at the next run.
            assert!((-60..=4).contains(&(since - last)), "server {server}: since {since}, in truth {last}");
            assert!((0..=60).contains(&(until - first)), "server {server}: until {until}, in truth {first}");
        }
        expected += 2 * outages.len();
    }
    assert!(expected > 2_000, "{expected} edges are not worth a test");
    let facts = world.number("select count(*) from telecom.outbox where detail_type like 'NodeServer%'").await;
    assert_eq!((said, facts), (expected, i64::try_from(expected).unwrap()), "each edge is said once");
}

/// A server's outages as the log has them, without the time before it was first heard.
async fn recorded(world: &World, server: i32) -> Vec<Outage> {
    let rows: Vec<(DateTime<Utc>, DateTime<Utc>)> = sqlx::query_as(
        "select since, until from telecom.node_status_transition
         where node_server_id = $1 and to_status = 'offline' and from_status is not null order by id",
    )
    .bind(server)
    .fetch_all(&world.pool)
    .await
    .unwrap();
    let minutes = |moment: DateTime<Utc>| (moment - at(NOW)).num_minutes();
    rows.into_iter().map(|(since, until)| (minutes(since), minutes(until))).collect()
}
