//! `telecom-chaos`: the simulator. The exit code is 0 if no rule was broken, 3 if a rule was
//! broken, and 1 if the run itself failed.
// The tool prints its result to the standard output.
#![allow(clippy::print_stdout)]

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use clap::Parser;
use telecom_chaos::Plan;

/// Runs the functions under simulated activity and random faults.
#[derive(Debug, Parser)]
struct Cli {
    /// Seed of all random choices.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Runs for less than a minute.
    #[arg(long)]
    short: bool,
    /// Runs as for a planted fault: short, with many kills and cuts.
    #[arg(long, conflicts_with = "short")]
    hunt: bool,
    /// Plants one fault after the other in a copy of the code. A run must find each of them. FILTER
    /// selects the faults whose names contain it.
    #[arg(long, value_name = "FILTER", num_args = 0..=1, default_missing_value = "",
        conflicts_with_all = ["short", "hunt"])]
    planted: Option<String>,
    /// Prints the verdict as JSON.
    #[arg(long)]
    json: bool,
    /// Path of the worker program. Defaults to `telecom-chaos-worker` beside this program.
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
    if let Some(filter) = &cli.planted {
        return hunt(cli, filter).await;
    }
    let plan = match cli {
        Cli { short: true, .. } => Plan::short(seed),
        Cli { hunt: true, .. } => Plan::hunt(seed),
        _ => Plan::full(seed),
    };
    eprintln!("Seed {seed}. Repeat it with: {}", plan.command());
    let worker = match &cli.worker {
        Some(worker) => worker.clone(),
        None => std::env::current_exe()?.with_file_name("telecom-chaos-worker"),
    };
    // Dropping the run on an interrupt ends the processes that it started.
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

async fn hunt(cli: &Cli, filter: &str) -> Result<bool> {
    let hunts = tokio::select! {
        hunts = telecom_chaos::hunt(cli.seed, filter) => hunts?,
        _ = tokio::signal::ctrl_c() => bail!("Interrupted."),
    };
    if cli.json {
        println!("{}", serde_json::to_string_pretty(&hunts)?);
    } else {
        println!();
        for hunt in &hunts {
            let found = hunt
                .found
                .as_deref()
                .map_or("NOT FOUND".to_owned(), |rule| format!("found by: {rule}"));
            println!("{:<40} {found} (seed {})", hunt.fault, hunt.seed);
        }
    }
    Ok(!hunts.is_empty() && hunts.iter().all(|hunt| hunt.found.is_some()))
}
