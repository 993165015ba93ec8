//! `pgbench -S -M prepared`: the rate at which the database itself serves selects by primary key on
//! this machine.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use local::postgres::Binaries;
use tokio::process::Command;

/// Scale factor. pgbench's table has 100,000 times as many rows.
const SCALE: u32 = 10;
const SELECT: &str = "--select-only --protocol prepared --no-vacuum --jobs 2";

/// `pgbench` with its tables created.
#[derive(Debug)]
pub struct Pgbench {
    program: PathBuf,
    database_url: String,
}

impl Pgbench {
    pub async fn prepare(database_url: &str) -> Result<Self> {
        let pgbench = Self {
            program: Binaries::find()?.program("pgbench"),
            database_url: database_url.to_owned(),
        };
        let initialize = format!("--initialize --quiet --scale {SCALE}");
        pgbench.run(&initialize).await?;
        Ok(pgbench)
    }

    /// Measures selects per second of `clients` concurrent clients.
    pub async fn selects(&self, clients: usize, time: Duration) -> Result<f64> {
        let seconds = time.as_secs();
        let options = format!("{SELECT} --client {clients} --time {seconds}");
        let text = self.run(&options).await?;
        let rate = text.lines().find_map(|line| line.strip_prefix("tps = "));
        let rate = rate.and_then(|rate| rate.split(' ').next()?.parse().ok());
        rate.with_context(|| format!("pgbench reported no rate: {text}"))
    }

    async fn run(&self, arguments: &str) -> Result<String> {
        let output = Command::new(&self.program)
            .args(arguments.split(' '))
            .arg(&self.database_url)
            .kill_on_drop(true)
            .output();
        let output = output
            .await
            .with_context(|| format!("Cannot start {}.", self.program.display()))?;
        ensure!(
            output.status.success(),
            "pgbench failed: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(String::from_utf8(output.stdout)?)
    }
}
