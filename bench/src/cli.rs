//! The command line.

use std::path::PathBuf;

use clap::Parser;

/// Measures the usage rows per second of ingest, bill, apply and end to end, and compares them with
/// COPY and with one transaction per row. Also measures the API over gRPC, compared with pgbench,
/// and the peak memory and the first answer of each function.
///
/// It creates a database on the server of `DATABASE_URL` and drops it at the end. Exit status: 0 if
/// every bar is met, 3 if one is missed, 1 if a measurement failed or a sum is wrong.
#[derive(Debug, Parser)]
#[command(version)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch of the command line"
)]
pub struct Cli {
    /// URL of a PostgreSQL server on which the role may create databases
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    pub database_url: String,
    /// Run a rough measurement with a tenth of the rows
    #[arg(long)]
    pub quick: bool,
    /// Number of concurrent consumers per queue [default: 4; with --profile 1, so that times add
    /// up]. template.yaml allows 10; the panels' way has 8 connections
    #[arg(long, value_parser = clap::value_parser!(u8).range(1..=64))]
    pub consumers: Option<u8>,
    /// Number of times that the throughput is measured. Medians are reported, and the lowest and
    /// highest ratio end to end
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=20))]
    pub rounds: u8,
    /// Report the time per SQL statement (needs the extension `pg_stat_statements`)
    #[arg(long)]
    pub profile: bool,
    /// Print JSON instead of tables
    #[arg(long, conflicts_with = "markdown")]
    pub json: bool,
    /// Print Markdown tables, as in docs/BENCHMARKS.md
    #[arg(long)]
    pub markdown: bool,
    /// Measure only the monitoring of a fleet of 1,000 servers: heartbeats, and the refresh of the
    /// status view with two years of history (takes some minutes and 3 GB)
    #[arg(long)]
    pub fleet: bool,
    /// Measure only how long users wait for their next package when 100,000 packages end in the
    /// same minute, and how long an extension of 100,000 packages takes
    #[arg(long, conflicts_with = "fleet")]
    pub expiry: bool,
    /// Measure only 1,200 nodes of the running system, whose database is that of `DATABASE_URL`
    /// (`make status` prints it). They call copies of the release function behind a load balancer
    /// of their own. Adds nodes and users (takes ten minutes)
    #[arg(long, conflicts_with_all = ["fleet", "expiry"])]
    pub nodes: bool,
    /// Measure only the operations for administrators that read two years of usage: traffic of a
    /// user and of all nodes, top users and nodes, and the overview (takes ten minutes and 15 GB)
    #[arg(long, conflicts_with_all = ["fleet", "expiry", "nodes"])]
    pub analytics: bool,
    /// Measure only the pipeline and the API with a month of history of this many users, compared
    /// with empty tables: 200 raw rows, 100 hourly rows and 10 consumed packages of each user
    /// (500,000 users take half an hour and 60 GB)
    #[arg(long, value_name = "USERS", num_args = 0..=1, default_missing_value = "500000",
        value_parser = clap::value_parser!(u32).range(20_000..=5_000_000),
        conflicts_with_all = ["fleet", "expiry", "nodes", "analytics"])]
    pub history: Option<u32>,
    /// Measure only a day of usage of the fleet, minute by minute: speed, sizes of tables, and
    /// autovacuum (takes ten minutes, with --quick two hours in one minute; needs a superuser)
    #[arg(long, conflicts_with_all = ["fleet", "expiry", "nodes", "analytics", "history"])]
    pub day: bool,
    /// The emulator whose queue receives what nodes push until a package is used up
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:4566")]
    pub aws: String,
    /// Send the requests of `--nodes` to this URL instead, such as that of the emulator's load
    /// balancer, which `make status` prints
    #[arg(long, value_name = "URL", requires = "nodes")]
    pub through: Option<String>,
    /// Skip the memory of the functions
    #[arg(long)]
    pub no_memory: bool,
    /// Skip the latencies and calls per second of the API
    #[arg(long)]
    pub no_api: bool,
    /// Skip the throughput of the pipeline
    #[arg(long)]
    pub no_throughput: bool,
    /// Write no logs and no traces, to find out what they cost
    #[arg(long)]
    pub no_telemetry: bool,
    /// Folder with the release build of the functions
    #[arg(long, default_value = "target/release")]
    pub functions: PathBuf,
    /// Name of the database to create. An existing database of this name is replaced
    #[arg(long, default_value = "telecom_bench")]
    pub database: String,
    /// Run this SQL on the new database before the measurement, such as `drop trigger …`, to find
    /// out what a part of the schema costs
    #[arg(long, value_name = "SQL", conflicts_with = "nodes")]
    pub change_schema: Option<String>,
    /// Keep the database at the end
    #[arg(long)]
    pub keep: bool,
}

impl Cli {
    pub fn consumers(&self) -> u8 {
        self.consumers.unwrap_or(if self.profile { 1 } else { 4 })
    }
}
