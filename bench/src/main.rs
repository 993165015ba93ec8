//! `telecom-bench`: usage rows per second of the pipeline, compared in the same run with binary
//! `COPY` of the same rows and with the usual way of panels; the API over gRPC, compared with
//! `pgbench`; the peak memory and the first answer of each function.
#![allow(
    clippy::large_futures,
    reason = "each of these futures exists once in a run of minutes"
)]
#![allow(
    clippy::print_stdout,
    reason = "the standard output of the program is its result"
)]

mod analytics;
mod api;
mod bars;
mod cli;
mod cost;
mod database;
mod day;
mod dollars;
mod expiry;
mod extension;
mod fleet;
mod function;
mod growth;
mod memory;
mod messaging;
mod nodes;
mod percentile;
mod pipeline;
mod process;
mod profile;
mod progress;
mod reference;
mod requests;
mod results;
mod run;
mod set_based;
mod table;
mod throughput;
mod token;
mod verify;
mod watch;
mod workload;

use std::process::ExitCode;

use clap::Parser;

#[tokio::main]
async fn main() -> ExitCode {
    match run::run(&cli::Cli::parse()).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(3),
        Err(error) => {
            eprintln!("\n{error:#}");
            ExitCode::FAILURE
        }
    }
}
