//! The API over gRPC. `telecom-grpc` in its own process, its clients in this one, and the database
//! share the same processors. Measurements alternate with `pgbench -S -M prepared`.

pub mod calls;
mod pgbench;
pub mod server;

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use futures::future::try_join_all;
use local::demo::token::Issuer;
use serde::Serialize;

use crate::cli::Cli;
use crate::cost::{Cost, Meter};
use crate::database::{Database, run_all};
use crate::fleet;
use crate::percentile::percentile_ms;
use crate::progress::step;
use calls::{Client, Rpc};
use pgbench::Pgbench;
use server::Server;

/// Number of clients in the comparison with pgbench, and of pgbench's connections.
const COMPARED_CLIENTS: usize = 8;
/// Turns of each side of the comparison.
const TURNS: u32 = 3;
/// Duration of a turn.
const TURN: Duration = Duration::from_secs(2);
/// Numbers of concurrent clients for which latencies are measured.
const CLIENTS: [usize; 3] = [1, 8, 32];
/// How long each RPC is called with each number of clients.
const CALLING: Duration = Duration::from_millis(700);

#[derive(Debug, Default, Serialize)]
pub struct Api {
    /// Concurrent clients in the comparison with pgbench.
    pub clients: usize,
    /// Calls per second of `GetRecentTrafficUsage` for a month. The clients share a connection,
    /// like the requests of a back end.
    pub calls_per_second: f64,
    /// Processor time of the client per call, in microseconds.
    pub client_us: f64,
    /// Processor time of the server per call, in microseconds.
    pub server_us: f64,
    /// Processor time of the database per call, in microseconds.
    pub database_us: f64,
    /// Calls per second with a connection per client.
    pub calls_apart_per_second: f64,
    /// Selects per second of `pgbench -S -M prepared`.
    pub selects_per_second: f64,
    pub latencies: Vec<Latency>,
    /// Maximum resident set size of the server at the end, in units of 2^20 bytes.
    pub server_peak_mb: f64,
}

#[derive(Debug, Serialize)]
pub struct Latency {
    pub rpc: &'static str,
    /// Concurrent clients.
    pub clients: usize,
    /// Calls per second of all clients together.
    pub calls_per_second: f64,
    /// Median, in milliseconds.
    pub p50_ms: f64,
    /// 99th percentile, in milliseconds.
    pub p99_ms: f64,
}

/// Measures with its own database.
pub async fn measure(cli: &Cli) -> Result<Api> {
    let database = step("API: creating the database", Database::create(cli, "")).await?;
    fleet::seed(&mut database.connect().await?).await?;
    step("API: a month of usage, a week of status", seed(&database)).await?;
    let Served { server, clients } = Served::start(cli, &database).await?;
    let pgbench = step("API: pgbench's tables", Pgbench::prepare(&database.url)).await?;
    let (turns, calling) = if cli.quick {
        (1, CALLING / 5)
    } else {
        (TURNS, CALLING)
    };
    let meter = Meter::start(&database).await?;
    let compared = compare(&clients, &server, meter, &pgbench, turns);
    let rates = step("API: comparing with pgbench", compared).await?;
    let latencies = step("API: latencies", latencies(&clients, calling)).await?;
    Ok(Api {
        clients: COMPARED_CLIENTS,
        latencies,
        server_peak_mb: server.peak_mb()?,
        ..rates
    })
}

/// A server and its clients.
pub struct Served {
    server: Server,
    clients: Vec<Client>,
}

impl Served {
    /// Serves a database that has the fleet and what the calls read.
    pub async fn start(cli: &Cli, database: &Database) -> Result<Self> {
        let issuer = Issuer::generate()?;
        let server = Server::start(&cli.functions, &database.url, &issuer).await?;
        let clients = clients(&server, &issuer).await?;
        Ok(Self { server, clients })
    }

    /// Calls per second of an RPC with `number` concurrent clients in the time `calling`.
    pub async fn calls_per_second(
        &self,
        rpc: &Arc<Rpc>,
        number: usize,
        calling: Duration,
    ) -> Result<f64> {
        let calls = call(rpc, &self.clients, number, calling).await?;
        Ok(calls.calls_per_second)
    }
}

/// As many clients as are needed at the same time, each of a different user.
async fn clients(server: &Server, issuer: &Issuer) -> Result<Vec<Client>> {
    let most = CLIENTS.into_iter().max().unwrap_or(COMPARED_CLIENTS);
    let users = fleet::user_ids().into_iter().take(most);
    try_join_all(users.map(|user| Client::connect(server, issuer, user))).await
}

/// Adds what the calls read to a database that has the fleet.
pub async fn seed(database: &Database) -> Result<()> {
    run_all(&mut database.connect().await?, SEED).await
}

/// 40 node clients in a user's package, and usage of 120 hours for 10,000 users.
const SEED: &str = "
update telecom.node_client set access_groups = '{1}' where id % 25 = 0;
-- Ten thousand users, each at four places in the evenings of 30 days.
insert into telecom.user_package_usage
     select q.user_id, date_trunc('hour',
     now()) - day * interval '1 day' - place * interval '1 hour',
         (q.id * 7 + place * 50) % 200 + 1, ((q.id * 7 + place * 50) % 200) * 5 + 1, q.id,
         1000000, 20000000, 500000, 10000000
     from telecom.package_queue q, generate_series(0, 29) day, generate_series(0, 3) place
     where q.status = 'active' and q.id <= 10000;
insert into telecom.node_status_history (node_server_id, status, created_at)
     select s.id, 'online', date_trunc('hour', now()) - h * interval '1 hour'
     from telecom.node_server s, generate_series(0, 7 * 24) h;
refresh materialized view telecom.node_status_hourly_mv;
vacuum analyze";

/// Measures the rates. Leaves the other fields empty.
async fn compare(
    clients: &[Client],
    server: &Server,
    mut meter: Meter,
    pgbench: &Pgbench,
    turns: u32,
) -> Result<Api> {
    let rpc = Arc::new(calls::recent_traffic_usage()?);
    let channel = &clients.first().context("There are no clients.")?.channel;
    let sharing: Vec<Client> = clients
        .iter()
        .map(|client| Client {
            channel: channel.clone(),
            ..client.clone()
        })
        .collect();
    call(&rpc, clients, COMPARED_CLIENTS, TURN / 10).await?;
    let share = f64::from(turns).recip();
    let calls = async |clients: &[Client]| {
        let calls = call(&rpc, clients, COMPARED_CLIENTS, TURN).await?;
        anyhow::Ok(calls.calls_per_second * share)
    };
    let mut rates = Api::default();
    let (mut cost, mut in_server) = (Cost::default(), Duration::ZERO);
    for _ in 0..turns {
        rates.selects_per_second += pgbench.selects(COMPARED_CLIENTS, TURN).await? * share;
        meter.skip().await?;
        let before = server.processor_time()?;
        rates.calls_per_second += calls(&sharing).await?;
        in_server += server.processor_time()?.saturating_sub(before);
        meter.add_to(&mut cost).await?;
        rates.calls_apart_per_second += calls(clients).await?;
    }
    let number = rates.calls_per_second * (TURN * turns).as_secs_f64();
    let per_call = |time: Duration| time.as_secs_f64() * 1e6 / number;
    Ok(Api {
        client_us: per_call(cost.ours),
        server_us: per_call(in_server),
        database_us: per_call(cost.database),
        ..rates
    })
}

async fn latencies(clients: &[Client], calling: Duration) -> Result<Vec<Latency>> {
    let mut latencies = Vec::new();
    for rpc in calls::all()?.into_iter().map(Arc::new) {
        for number in CLIENTS {
            latencies.push(call(&rpc, clients, number, calling).await?);
        }
    }
    Ok(latencies)
}

/// Calls `rpc` for the time `calling` with `number` concurrent clients. Each client calls again
/// when it has the response.
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
                let called_at = Instant::now();
                rpc.call(client.clone())
                    .await
                    .with_context(|| format!("{} failed.", rpc.name))?;
                times.push(called_at.elapsed());
            }
            anyhow::Ok(times)
        })
    };
    let durations = try_join_all(clients.iter().take(number).map(one))
        .await
        .context("A client panicked.")?;
    let elapsed = began.elapsed();
    let mut times = durations.into_iter().collect::<Result<Vec<_>>>()?.concat();
    times.sort_unstable();
    let calls_per_second = times.len() as f64 / elapsed.as_secs_f64();
    Ok(Latency {
        rpc: rpc.name,
        clients: number,
        calls_per_second,
        p50_ms: percentile_ms(&times, 50),
        p99_ms: percentile_ms(&times, 99),
    })
}
