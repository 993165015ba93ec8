//! Checks, a few times per second, the rules that must hold at every instant of a run.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::proxy::{Link, Span};
use crate::run::{Run, lock};

/// Number of undisturbed runs of `expire-packages` after which no user who waited before them may
/// still wait.
const RUNS: usize = 3;
/// Tolerated lag of clocks and of the end of a session.
const TOLERANCE: Duration = Duration::from_secs(1);

/// The rule that connections are returned to the pool outside of transactions.
const LEFT: &str = "a connection is left in a transaction";

/// A user without an active item, and the user's first waiting item.
type Waiting = (Uuid, i64);

/// Checks the rules until the run is over.
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
    // Read before the query, because an invocation that begins during the query does not explain a
    // transaction.
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
                    "user {} has waited with item {} for {} s by the world's clock",
                    key.0,
                    key.1,
                    waited.as_secs()
                )
            });
        }
    }
}

/// A session that is idle in a transaction.
#[derive(Debug, sqlx::FromRow)]
struct Session {
    worker: String,
    /// Age of the transaction, in seconds.
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

/// Records transactions that began within another one, because a connection was returned to its
/// pool in a transaction.
fn note_nested(run: &Run, links: &HashMap<String, Arc<Link>>) {
    for (worker, link) in links {
        let nested = link.take_nested();
        if nested > 0 {
            run.findings_of(LEFT, nested.into(), || {
                format!("{worker}: a transaction began within another one")
            });
        }
    }
}

/// Records a transaction that is older than its worker's invocation, or that is open while the
/// worker is idle. Such a transaction was left behind.
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

/// Records sessions of workers that are in a transaction although no invocation is running.
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
