//! What must hold at every instant of a run, looked at a few times a second.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::proxy::{Link, Span};
use crate::run::{Run, lock};

/// Undisturbed runs of `expire-packages` after which no user waits any more who waited before them.
const RUNS: usize = 3;
/// How far clocks and the end of a session may lag.
const TOLERANCE: Duration = Duration::from_secs(1);

/// The rule that connections are given back outside of transactions.
const LEFT: &str = "a connection is left in a transaction";

/// A user without an active item, and the item that waits first.
type Waiting = (Uuid, i64);

/// Looks until the run is over.
pub async fn watch(run: Arc<Run>, links: HashMap<String, Arc<Link>>) -> Result<()> {
    let mut since: HashMap<Waiting, Instant> = HashMap::new();
    let mut connection = None;
    while !run.is_over() {
        tokio::time::sleep(Duration::from_millis(300)).await;
        run.plant_due();
        note_nested(&run, &links);
        let Some(open) = &mut connection else {
            connection = run.operator.connect().await.ok();
            continue;
        };
        if look(&run, open, &links, &mut since).await.is_err() {
            connection = None;
        }
    }
    Ok(())
}

async fn look(
    run: &Run,
    connection: &mut PgConnection,
    links: &HashMap<String, Arc<Link>>,
    since: &mut HashMap<Waiting, Instant>,
) -> Result<(), sqlx::Error> {
    let now = Instant::now();
    let waiting: Vec<Waiting> = sqlx::query_as(
        "select user_id, min(id) from telecom.package_queue w where status = 'in_queue'
            and not exists (select from telecom.package_queue a where a.user_id = w.user_id
            and a.status = 'active')
         group by user_id",
    )
    .fetch_all(&mut *connection)
    .await?;
    note_waiting(run, &waiting, since, now);
    // As they were before the database is asked: an invocation that begins meanwhile explains
    // nothing.
    let spans: HashMap<&str, Span> = links
        .iter()
        .filter_map(|(worker, link)| Some((worker.as_str(), link.invocation()?)))
        .collect();
    for session in sessions_in_transaction(connection).await? {
        if let Some(span) = spans.get(session.worker.as_str()) {
            note_session(run, *span, &session);
        }
    }
    Ok(())
}

fn note_waiting(
    run: &Run,
    waiting: &[Waiting],
    since: &mut HashMap<Waiting, Instant>,
    now: Instant,
) {
    let here: HashSet<Waiting> = waiting.iter().copied().collect();
    since.retain(|key, _| here.contains(key));
    let expiries = lock(&run.expiries);
    for key in here {
        let first = *since.entry(key).or_insert(now);
        let runs = expiries
            .iter()
            .filter(|(began, ended)| *began > first && *ended < now)
            .count();
        if runs == RUNS {
            let waited = now.duration_since(first) * u32::try_from(run.plan.speed).unwrap_or(1);
            run.finding("a user waits without an active item", || {
                format!(
                    "user {} with item {} for {} s of the world's time",
                    key.0,
                    key.1,
                    waited.as_secs()
                )
            });
        }
    }
}

/// A session that stands still within a transaction.
#[derive(Debug, sqlx::FromRow)]
struct Session {
    worker: String,
    /// Of the transaction, seconds.
    age: f64,
    query: String,
}

async fn sessions_in_transaction(
    connection: &mut PgConnection,
) -> Result<Vec<Session>, sqlx::Error> {
    sqlx::query_as(
        "select application_name as worker, extract(epoch
        from clock_timestamp() - xact_start)::float8 as age, query
         from pg_stat_activity where state like 'idle in transaction%' and xact_start is not null",
    )
    .fetch_all(connection)
    .await
}

/// A transaction that begins within another one: a connection was given back to its pool in that
/// one.
fn note_nested(run: &Run, links: &HashMap<String, Arc<Link>>) {
    for (worker, link) in links {
        let nested = link.take_nested();
        if nested > 0 {
            run.findings_of(LEFT, nested.into(), || {
                format!("{worker}: the next transaction began within it")
            });
        }
    }
}

/// A transaction that is older than its worker's invocation, or is open while there is none, was
/// left behind.
fn note_session(run: &Run, span: Span, session: &Session) {
    let age = Duration::from_secs_f64(session.age.max(0.0));
    let over = age > TOLERANCE && span.ended.is_some_and(|ended| ended.elapsed() > TOLERANCE);
    if over || age > span.began.elapsed() + TOLERANCE {
        run.finding(LEFT, || {
            format!(
                "{} for {age:?} after {:?}",
                session.worker,
                session.query.lines().next().unwrap_or_default()
            )
        });
    }
}

/// Sessions of workers that are in a transaction, now that nothing is under way.
pub async fn left_in_transaction(run: &Run) -> Result<()> {
    let sessions = run
        .operator
        .until_done(async |connection| sessions_in_transaction(connection).await)
        .await?;
    for session in sessions {
        run.finding(LEFT, || format!("{session:?}"));
    }
    Ok(())
}
