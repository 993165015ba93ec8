//! `telecom-bench`: usage rows per second of the pipeline, beside binary `COPY` of the same rows
//! and beside the way most panels do it, in one run on one machine; the API over gRPC beside
//! `pgbench`; and the peak memory of each function and its first answer.
// A tool whose standard output is its result.
#![allow(
    clippy::large_futures,
    reason = "each of these futures lives once, on the stack of a program of minutes"
)]
#![allow(clippy::print_stdout)]

mod api;
mod bars;
mod cli;
mod database;
mod expiry;
mod fleet;
mod memory;
mod messaging;
mod peak;
mod pipeline;
mod profile;
mod progress;
mod reference;
mod results;
mod run;
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
