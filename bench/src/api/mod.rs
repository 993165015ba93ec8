//! The API over gRPC: `telecom-grpc` in a process of its own, its clients here, and the database,
//! all on the same processors; in turns with `pgbench -S -M prepared`.

mod calls;
mod pgbench;
mod server;

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use futures::future::try_join_all;
use serde::Serialize;

use crate::cli::Cli;
use crate::database::{Database, run};
use crate::fleet;
use crate::progress::step;
use crate::token::Issuer;
use calls::{Client, Rpc};
use pgbench::Pgbench;
use server::Server;

/// Clients of the contest with pgbench, and connections of pgbench.
const CONTESTANTS: usize = 8;
/// Turns of each side of the contest.
const TURNS: u32 = 3;
/// A turn's time.
const TURN: Duration = Duration::from_secs(2);
/// Clients at once, for the latencies.
const CLIENTS: [usize; 3] = [1, 8, 32];
/// How long each RPC is called, by each number of clients.
const CALLING: Duration = Duration::from_millis(700);

/// What was measured.
#[derive(Debug, Serialize)]
pub struct Api {
    /// Clients at once in the contest.
    pub clients: usize,
    /// `GetRecentTrafficUsage` of a month, calls a second of clients that share a connection, as
    /// one back end's do.
    pub calls_per_second: f64,
    /// The same, a connection each.
    pub calls_apart_per_second: f64,
    /// `pgbench -S -M prepared`, selects a second.
    pub selects_per_second: f64,
    /// By RPC and clients.
    pub latencies: Vec<Latency>,
    /// The server's greatest resident set, in units of 2^20 bytes, at the end.
    pub server_peak_mb: f64,
}

/// One RPC's.
#[derive(Debug, Serialize)]
pub struct Latency {
    /// Which.
    pub rpc: &'static str,
    /// Clients at once.
    pub clients: usize,
    /// Calls a second of all of them.
    pub calls_per_second: f64,
    /// The median, milliseconds.
    pub p50_ms: f64,
    /// One in a hundred takes longer, milliseconds.
    pub p99_ms: f64,
}

/// Measures on a database of its own.
pub async fn measure(cli: &Cli) -> Result<Api> {
    let database = step(
        "API: creating the database",
        Database::create(&cli.database_url, &cli.database),
    )
    .await?;
    step("API: a month of usage, a week of status", seed(&database)).await?;
    let pgbench = step("API: pgbench's tables", Pgbench::prepare(&database.url)).await?;
    let issuer = Issuer::new()?;
    let server = Server::start(&cli.functions, &database.url, &issuer).await?;
    let clients = clients(&server, &issuer).await?;
    let (turns, calling) = if cli.quick {
        (1, CALLING / 5)
    } else {
        (TURNS, CALLING)
    };
    let Contest {
        calls,
        calls_apart,
        selects,
    } = step(
        "API: in turns with pgbench",
        contest(&clients, &pgbench, turns),
    )
    .await?;
    let latencies = step("API: latencies", latencies(&clients, calling)).await?;
    Ok(Api {
        clients: CONTESTANTS,
        calls_per_second: calls,
        calls_apart_per_second: calls_apart,
        selects_per_second: selects,
        latencies,
        server_peak_mb: server.peak_mb()?,
    })
}

/// As many as are ever needed at once; each is a user of its own.
async fn clients(server: &Server, issuer: &Issuer) -> Result<Vec<Client>> {
    let bearer = |token: String| {
        format!("Bearer {token}")
            .parse()
            .context("The token is no header value.")
    };
    let client = async |user| {
        let (user, admin) = (
            bearer(issuer.token(user)?)?,
            bearer(issuer.admin_token(user)?)?,
        );
        anyhow::Ok(Client {
            channel: server.connect().await?,
            user,
            admin,
        })
    };
    let most = CLIENTS.into_iter().max().unwrap_or(CONTESTANTS);
    try_join_all(fleet::user_ids().into_iter().take(most).map(client)).await
}

/// The fleet, of whose node clients a user's package opens 40; of 10,000 users usage of 120 hours.
async fn seed(database: &Database) -> Result<()> {
    let mut connection = database.connect().await?;
    fleet::seed(&mut connection).await?;
    for statement in SEED {
        run(&mut connection, statement).await?;
    }
    Ok(())
}

const SEED: [&str; 5] = [
    "update telecom.node_client set access_groups = '{1}' where id % 25 = 0",
    // Ten thousand users, each at four places in the evenings of 30 days.
    "insert into telecom.user_package_usage
     select q.user_id, date_trunc('hour',
     now()) - day * interval '1 day' - place * interval '1 hour',
         (q.id * 7 + place * 50) % 200 + 1, ((q.id * 7 + place * 50) % 200) * 5 + 1, q.id,
         1000000, 20000000, 500000, 10000000
     from telecom.package_queue q, generate_series(0, 29) day, generate_series(0, 3) place
     where q.status = 'active' and q.id <= 10000",
    "insert into telecom.node_status_history (node_server_id, status, created_at)
     select s.id, 'online', date_trunc('hour', now()) - h * interval '1 hour'
     from telecom.node_server s, generate_series(0, 7 * 24) h",
    "refresh materialized view telecom.node_status_hourly_mv",
    "vacuum analyze",
];

/// Each a second.
#[derive(Default)]
struct Contest {
    calls: f64,
    calls_apart: f64,
    selects: f64,
}

async fn contest(clients: &[Client], pgbench: &Pgbench, turns: u32) -> Result<Contest> {
    let rpc = Arc::new(calls::recent_traffic_usage());
    let channel = &clients.first().context("there are no clients")?.channel;
    let sharing: Vec<Client> = clients
        .iter()
        .map(|client| Client {
            channel: channel.clone(),
            ..client.clone()
        })
        .collect();
    call(&rpc, clients, CONTESTANTS, TURN / 10).await?;
    let (mut sums, turns_taken) = (Contest::default(), f64::from(turns));
    for _ in 0..turns {
        sums.selects += pgbench.selects(CONTESTANTS, TURN).await? / turns_taken;
        sums.calls += call(&rpc, &sharing, CONTESTANTS, TURN)
            .await?
            .calls_per_second
            / turns_taken;
        sums.calls_apart += call(&rpc, clients, CONTESTANTS, TURN)
            .await?
            .calls_per_second
            / turns_taken;
    }
    Ok(sums)
}

async fn latencies(clients: &[Client], calling: Duration) -> Result<Vec<Latency>> {
    let user = fleet::user_ids()
        .first()
        .map(ToString::to_string)
        .unwrap_or_default();
    let mut latencies = Vec::new();
    for rpc in calls::all(&user).into_iter().map(Arc::new) {
        for number in CLIENTS {
            latencies.push(call(&rpc, clients, number, calling).await?);
        }
    }
    Ok(latencies)
}

/// Calls `rpc` for a while, `number` clients at once, each its next call when the last is answered.
#[expect(
    clippy::as_conversions,
    clippy::cast_precision_loss,
    reason = "counts far below 2^52"
)]
async fn call(
    rpc: &Arc<Rpc>,
    clients: &[Client],
    number: usize,
    calling: Duration,
) -> Result<Latency> {
    let began = Instant::now();
    let one = |client: &Client| {
        let (rpc, client) = (Arc::clone(rpc), client.clone());
        tokio::spawn(async move {
            let mut times = Vec::new();
            while began.elapsed() < calling {
                let asked = Instant::now();
                (rpc.call)(client.clone())
                    .await
                    .with_context(|| format!("{} failed.", rpc.name))?;
                times.push(asked.elapsed());
            }
            anyhow::Ok(times)
        })
    };
    let answers = try_join_all(clients.iter().take(number).map(one))
        .await
        .context("A client panicked.")?;
    let elapsed = began.elapsed();
    let mut times = answers.into_iter().collect::<Result<Vec<_>>>()?.concat();
    times.sort_unstable();
    let ms = |percent: usize| {
        times
            .get(times.len() * percent / 100)
            .map_or(0.0, |time| time.as_secs_f64() * 1e3)
    };
    let calls_per_second = times.len() as f64 / elapsed.as_secs_f64();
    Ok(Latency {
        rpc: rpc.name,
        clients: number,
        calls_per_second,
        p50_ms: ms(50),
        p99_ms: ms(99),
    })
}
