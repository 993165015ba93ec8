//! `telecom-chaos`: the simulator. Exit code 0: no rule was broken; 3: one was; 1: the run itself
//! failed.
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
    /// A run as each planted fault gets: short, with many kills and cuts.
    #[arg(long, conflicts_with = "short")]
    hunt: bool,
    /// Plants faults in a copy of the code, one after the other, each of which must be found;
    /// FILTER: part of a name.
    #[arg(long, value_name = "FILTER", num_args = 0..=1, default_missing_value = "",
        conflicts_with_all = ["short", "hunt"])]
    planted: Option<String>,
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
