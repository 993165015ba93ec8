//! What the user may choose.

use std::path::PathBuf;

use clap::Parser;

/// Measures usage rows per second of ingest, bill, apply and end to end, beside COPY and beside one
/// transaction a row; the API over gRPC, beside pgbench; and the peak memory and the first answer
/// of each function.
///
/// It creates a database on the server of `DATABASE_URL` and drops it at the end. Exit status: 0
/// when every bar is met, 3 when one is missed, 1 when something could not be measured or a sum is
/// wrong.
#[derive(Debug, Parser)]
#[command(version)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch of the command line"
)]
pub struct Cli {
    /// A PostgreSQL server on which the role may create databases
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    pub database_url: String,
    /// A tenth of the rows: does everything, measures roughly
    #[arg(long)]
    pub quick: bool,
    /// Consumers of each queue that run at once [default: 4; with --profile 1, so that times add
    /// up]. template.yaml allows 10; the panels' way has 8 connections
    #[arg(long, value_parser = clap::value_parser!(u8).range(1..=64))]
    pub consumers: Option<u8>,
    /// Tell where the time goes, statement by statement (needs the extension `pg_stat_statements`)
    #[arg(long)]
    pub profile: bool,
    /// Print JSON instead of tables
    #[arg(long, conflicts_with = "markdown")]
    pub json: bool,
    /// Print Markdown tables, as docs/BENCHMARKS.md has them
    #[arg(long)]
    pub markdown: bool,
    /// Measure the watching of a fleet of 1,000 servers instead: heartbeats, and the refresh of the
    /// status view with two years of history (takes some minutes and 3 GB)
    #[arg(long)]
    pub fleet: bool,
    /// Measure instead how long users wait for their next package when 100,000 packages end in the
    /// same minute
    #[arg(long, conflicts_with = "fleet")]
    pub expiry: bool,
    /// Leave the memory of the functions out
    #[arg(long)]
    pub no_memory: bool,
    /// Leave the API out
    #[arg(long)]
    pub no_api: bool,
    /// Leave the throughput out
    #[arg(long)]
    pub no_throughput: bool,
    /// Folder with the release build of the functions
    #[arg(long, default_value = "target/release")]
    pub functions: PathBuf,
    /// Name of the database that is created, and replaced if it is there
    #[arg(long, default_value = "telecom_bench")]
    pub database: String,
    /// Leave the database there at the end
    #[arg(long)]
    pub keep: bool,
}

impl Cli {
    /// How many consumers of each queue run at once.
    pub fn consumers(&self) -> u8 {
        self.consumers.unwrap_or(if self.profile { 1 } else { 4 })
    }
}
