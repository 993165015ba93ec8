//! Processes under test, and their peak memory.

use std::fs;
use std::path::Path;
use std::process::Stdio;

use anyhow::{Context as _, Result};
use tokio::process::{Child, Command};

/// Starts a program with only `environment`, and with its standard output in `log`. Dropping the
/// process kills it.
pub fn spawn(
    program: &Path,
    log: &Path,
    environment: impl IntoIterator<Item = (&'static str, String)>,
) -> Result<Child> {
    let output =
        fs::File::create(log).with_context(|| format!("Cannot write {}.", log.display()))?;
    Command::new(program)
        .env_clear()
        .envs(environment)
        .stdin(Stdio::null())
        .stdout(output)
        .kill_on_drop(true)
        .spawn()
        .with_context(|| {
            format!(
                "Cannot start {}. `make build` builds it.",
                program.display()
            )
        })
}

/// Maximum resident set size so far (`VmHWM`), in units of 2^20 bytes.
pub fn peak_mb(process: &Child) -> Result<f64> {
    let id = process.id().context("The process has ended.")?;
    parse(&fs::read_to_string(format!("/proc/{id}/status"))?)
}

/// The kernel reports the value in KiB.
fn parse(status: &str) -> Result<f64> {
    let kib: u32 = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .and_then(|value| value.split_whitespace().next())
        .and_then(|value| value.parse().ok())
        .context("/proc/<pid>/status has no VmHWM.")?;
    Ok(f64::from(kib) / 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peak_is_read_from_the_status_of_the_process() {
        assert_eq!(
            parse("Name:\tx\nVmPeak:\t 9 kB\nVmHWM:\t   1536 kB\n")
                .unwrap()
                .to_string(),
            "1.5"
        );
    }
}
