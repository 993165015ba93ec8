//! `telecom-local`: the whole system on one machine.

use std::process::ExitCode;

use clap::Parser;
use local::cli::Cli;

fn main() -> ExitCode {
    match Cli::parse().execute() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("\n{error:#}");
            ExitCode::FAILURE
        }
    }
}
