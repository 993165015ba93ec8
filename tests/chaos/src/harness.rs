//! A complete run, from the setup to the verdict.

use std::collections::HashMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use local::demo::token::{Issuer, Role};
use shared::clock::Clock as _;
use sqlx::Executor as _;
use tokio::task::{JoinSet, LocalSet};

use crate::clock::FastClock;
use crate::cloud::queue::QueueFaults;
use crate::cloud::{Cloud, RequestFaults};
use crate::cluster::Cluster;
use crate::functions::{Driver, WORKERS};
use crate::life::{Cast, items, nodes, orders, pushes, traffic};
use crate::operator::Operator;
use crate::plan::Plan;
use crate::processes::{Environment, Worker};
use crate::proxy::Link;
use crate::random::Random;
use crate::run::Run;
use crate::verdict::Verdict;
use crate::{monitor, oracle, storm};

/// Faults of the queues during the storm, in a thousand cases.
const QUEUE_FAULTS: QueueFaults = QueueFaults {
    repeat: 110,
    overlap: 40,
    redrive: 20,
    delay: 60,
};
/// Faults of requests to SQS and EventBridge during the storm, in a thousand requests. A hanging
/// request may outlast an invocation.
const REQUEST_FAULTS: RequestFaults = RequestFaults {
    fail: 50,
    hang: 4,
    hang_for: Duration::from_secs(12),
    refuse: 60,
};
/// How long the operator's token is valid, by the world's clock. No run is longer.
const TOKEN_LIFETIME: Duration = Duration::from_hours(23);
/// How long the functions may take to process everything after the storm.
const DRAIN: Duration = Duration::from_mins(2);
/// How long the jobs run after that, by the world's clock.
const CALM: Duration = Duration::from_mins(3);

type Parts = JoinSet<Result<()>>;

/// Runs `plan` with the worker program `program`. Logs are kept if a rule was broken.
pub async fn run(plan: Plan, program: PathBuf) -> Result<Verdict> {
    let folder = tempfile::Builder::new()
        .prefix("telecom-chaos-")
        .tempdir()?;
    // The database may run as another user, which needs to traverse the folder.
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o711))?;
    match run_in(folder.path(), plan, program).await {
        Ok(verdict) if verdict.passed => {
            folder.close()?;
            Ok(verdict)
        }
        Ok(verdict) => Ok(Verdict {
            logs: Some(folder.keep()),
            ..verdict
        }),
        Err(error) => Err(error.context(format!("Logs are in {}.", folder.keep().display()))),
    }
}

async fn run_in(folder: &Path, plan: Plan, program: PathBuf) -> Result<Verdict> {
    let began = Instant::now();
    let at = folder.to_owned();
    let cluster = Arc::new(tokio::task::spawn_blocking(move || Cluster::start(&at)).await??);
    let clock = Arc::new(FastClock::new(plan.speed));
    let (cloud, endpoint) =
        Cloud::start(plan.seed, Arc::clone(&clock), QUEUE_FAULTS, REQUEST_FAULTS).await?;
    let mut random = Random::new(plan.seed, 10);
    let cast = Cast::new(plan.users, &mut random);
    let operator = Operator::new(cluster.port(), "operator");
    let issuer = Issuer::generate()?;
    let token = issuer.issue(random.uuid(), Role::Admin, TOKEN_LIFETIME, clock.now())?;
    let run = Arc::new(Run::new(plan, clock, cloud, operator, token, cast.clone()));
    prepare(&run).await?;
    nodes::set_up(&run, &cast, &mut random).await?;

    let environment = Environment {
        program,
        endpoint,
        logs: log_folder(folder)?,
        key_set: issuer.jwks()?,
    };
    let (drivers, links) = start_workers(&run, &cluster, &environment).await?;
    // The futures of the simulated activity are not `Send`, so they stay on this thread.
    let drivers = LocalSet::new()
        .run_until(perform(&run, &cluster, drivers, links))
        .await?;
    tokio::time::sleep(Duration::from_millis(500)).await;
    monitor::left_in_transaction(&run).await?;
    drop(drivers);
    oracle::check(&run).await?;
    let deadlocks = cluster.count_in_logs("deadlock detected")?;
    if deadlocks > 0 {
        run.findings_of("deadlocks", deadlocks.try_into()?, || {
            "see PostgreSQL's logs".to_owned()
        });
    }
    Ok(Verdict::of(&run, began.elapsed()))
}

/// Creates the deployed schema, the partitions of the run's days, and the audit.
async fn prepare(run: &Run) -> Result<()> {
    let mut connection = run.operator.connect().await?;
    shared::db::migrate(&mut connection).await?;
    connection
        .execute("select telecom.create_traffic_usage_partitions(current_date - 2, 6)")
        .await?;
    connection
        .execute(sqlx::raw_sql(include_str!("audit.sql")))
        .await?;
    Ok(())
}

fn log_folder(folder: &Path) -> Result<PathBuf> {
    let logs = folder.join("workers");
    std::fs::create_dir(&logs)?;
    Ok(logs)
}

async fn start_workers(
    run: &Arc<Run>,
    cluster: &Cluster,
    environment: &Environment,
) -> Result<(Vec<Driver>, HashMap<String, Arc<Link>>)> {
    let (mut drivers, mut links) = (Vec::new(), HashMap::new());
    for (function, number) in WORKERS {
        for index in 1..=number {
            let link = Link::start(cluster.port()).await?;
            let worker = Worker::new(function, index, environment.clone(), Arc::clone(&link));
            links.insert(worker.name.clone(), Arc::clone(&link));
            let random = Random::new(run.plan.seed, 100 + u64::try_from(drivers.len())?);
            drivers.push(Driver {
                run: Arc::clone(run),
                worker,
                link,
                function,
                random,
                skew_ms: 0,
                succeeded_at: Instant::now(),
            });
        }
    }
    Ok((drivers, links))
}

/// Runs the phases storm, calm and quiet. Returns the workers alive.
async fn perform(
    run: &Arc<Run>,
    cluster: &Arc<Cluster>,
    drivers: Vec<Driver>,
    links: HashMap<String, Arc<Link>>,
) -> Result<Vec<Driver>> {
    let mut at_work: JoinSet<Result<Driver>> = JoinSet::new();
    for driver in drivers {
        at_work.spawn(driver.drive());
    }
    let mut parts: Parts = JoinSet::new();
    parts.spawn_local(monitor::watch(Arc::clone(run), links.clone()));
    let mut storm = begin_storm(run, cluster, links);
    until_enough(run, &mut storm, &mut parts).await?;
    run.calm();
    while let Some(part) = storm.join_next().await {
        part??;
    }
    progress(run, "calm");
    drain(run).await?;
    nodes::release(run).await?;
    tokio::time::sleep(CALM / u32::try_from(run.plan.speed)?).await;
    run.quiet();
    drain(run).await?;
    run.end();
    let mut idle = Vec::new();
    while let Some(driver) = at_work.join_next().await {
        idle.push(driver??);
    }
    Ok(idle)
}

fn begin_storm(run: &Arc<Run>, cluster: &Arc<Cluster>, links: HashMap<String, Arc<Link>>) -> Parts {
    let mut storm: Parts = JoinSet::new();
    let random = |stream| Random::new(run.plan.seed, stream);
    let mut links: Vec<(String, Arc<Link>)> = links.into_iter().collect();
    links.sort_by(|a, b| a.0.cmp(&b.0));
    let links = links.into_iter().map(|(_, link)| link).collect();
    storm.spawn_local(traffic::report(Arc::clone(run), random(11)));
    storm.spawn_local(pushes::push(Arc::clone(run), random(20)));
    storm.spawn_local(traffic::charge(Arc::clone(run), random(12)));
    storm.spawn_local(orders::order(Arc::clone(run), random(13)));
    storm.spawn_local(items::change(Arc::clone(run), random(14)));
    storm.spawn_local(items::change(Arc::clone(run), random(18)));
    storm.spawn_local(items::extend(Arc::clone(run), random(19)));
    storm.spawn_local(nodes::live(Arc::clone(run), random(15)));
    storm.spawn_local(storm::cut_and_kill(Arc::clone(run), links, random(16)));
    storm.spawn_local(storm::interrupt(
        Arc::clone(run),
        Arc::clone(cluster),
        random(17),
    ));
    storm
}

/// Waits until the goals of the plan are met or its time is over. Returns an error if a part of
/// the simulation fails before.
async fn until_enough(run: &Run, storm: &mut Parts, parts: &mut Parts) -> Result<()> {
    let mut reported_at = Instant::now();
    loop {
        tokio::time::sleep(Duration::from_millis(100)).await;
        for ended in [storm.try_join_next(), parts.try_join_next()]
            .into_iter()
            .flatten()
        {
            ended?.context("A part of the simulation failed.")?;
        }
        if reported_at.elapsed() > Duration::from_secs(10) {
            reported_at = Instant::now();
            progress(run, "storm");
        }
        let plan = &run.plan;
        let met = run.ledger.open().lines >= plan.lines
            && storm::cuts(run) >= plan.cuts
            && storm::restarts(run) >= plan.restarts
            && run.counted(nodes::STEPS) >= plan.fleet_changes;
        if met || run.began.elapsed() > plan.limit {
            return Ok(());
        }
    }
}

fn progress(run: &Run, phase: &str) {
    let cloud = &run.cloud;
    let books = run.ledger.open();
    let (lines, changes) = (books.lines, books.answered.len());
    drop(books);
    let findings = run.findings();
    let broken = if findings.is_empty() {
        String::new()
    } else {
        format!(" · {} rules broken", findings.len())
    };
    eprintln!(
        "{:>4} s  {phase} · {} lines · {} kills and cuts · {} restarts · {} changes · waiting: {} \
         reports, {} billing, {} expiring, {} orders{broken}",
        run.began.elapsed().as_secs(),
        lines,
        storm::cuts(run),
        storm::restarts(run),
        changes,
        cloud.reports.length(),
        cloud.billing.length(),
        cloud.expiring.length(),
        cloud.orders.length(),
    );
}

/// Waits until no message, outbox row, parked event, unbilled report or incomplete extension is
/// left.
async fn drain(run: &Run) -> Result<()> {
    let began = Instant::now();
    while began.elapsed() < DRAIN {
        tokio::time::sleep(Duration::from_millis(200)).await;
        let queues = run.cloud.queues();
        if !queues.iter().all(|queue| queue.is_empty()) || !run.nothing_left_to_plant() {
            continue;
        }
        let left: i64 = run
            .operator
            .until_done(async |connection| {
                sqlx::query_scalar(
                    "select (select count(*) from telecom.outbox) + (select count(*)
                    from telecom.parked_event)
                        + (select count(*) from telecom.usage_report where billing_run_id is null
                        and line_count > 0)
                        + (select count(*) from telecom.package_extension
                        where completed_at is null)",
                )
                .fetch_one(connection)
                .await
            })
            .await?;
        if left == 0 {
            return Ok(());
        }
    }
    run.finding("the system does not come to rest", || {
        format!("within {} s", DRAIN.as_secs())
    });
    Ok(())
}
