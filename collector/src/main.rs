//! `telecom-collector`: reads the traffic counters of a node and reports each byte exactly once.

use std::process::ExitCode;

use clap::Parser;
use telecom_collector::cli::Cli;

fn main() -> ExitCode {
    match Cli::parse().execute() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("telecom-collector: {error:#}");
            ExitCode::FAILURE
        }
    }
}
