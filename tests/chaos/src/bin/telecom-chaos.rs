//! `telecom-chaos`: the simulator. Exit code 0: no rule was broken; 3: one was; 1: the run itself failed.
// A tool whose standard output is its result.
#![allow(clippy::print_stdout)]

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use clap::Parser;
use telecom_chaos::Plan;

/// Random life and random faults, from a seed.
#[derive(Debug, Parser)]
struct Cli {
    /// Where every random choice comes from.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// A run of less than a minute.
    #[arg(long)]
    short: bool,
    /// Prints the verdict as JSON.
    #[arg(long)]
    json: bool,
    /// The program of the workers; default: the one beside this program.
    #[arg(long)]
    worker: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(&Cli::parse()).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(3),
        Err(error) => {
            eprintln!("\n{error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(cli: &Cli) -> Result<bool> {
    let seed = cli.seed;
    let plan = if cli.short { Plan::short(seed) } else { Plan::full(seed) };
    eprintln!("Seed {seed}. Repeat it with: {}", plan.command());
    let worker = match &cli.worker {
        Some(worker) => worker.clone(),
        None => std::env::current_exe()?.with_file_name("telecom-chaos-worker"),
    };
    // When the run is given up, what it started ends with it.
    let verdict = tokio::select! {
        verdict = telecom_chaos::run(plan, worker) => verdict.context("The run failed.")?,
        _ = tokio::signal::ctrl_c() => bail!("Interrupted."),
    };
    if cli.json {
        println!("{}", serde_json::to_string_pretty(&verdict)?);
    } else {
        println!("{verdict}");
    }
    Ok(verdict.passed)
}
