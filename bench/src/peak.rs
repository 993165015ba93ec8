//! The peak memory of a process.

use std::fs;

use anyhow::{Context as _, Result};
use tokio::process::Child;

/// Greatest resident set so far (`VmHWM`), in units of 2^20 bytes.
pub fn peak_mb(process: &Child) -> Result<f64> {
    let id = process.id().context("The process has ended.")?;
    parse(&fs::read_to_string(format!("/proc/{id}/status"))?)
}

/// The kernel states it in KiB.
fn parse(status: &str) -> Result<f64> {
    let kib: u32 = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .and_then(|value| value.split_whitespace().next())
        .and_then(|value| value.parse().ok())
        .context("/proc tells no VmHWM.")?;
    Ok(f64::from(kib) / 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peak_is_read_from_the_kernels_status() {
        assert_eq!(
            parse("Name:\tx\nVmPeak:\t 9 kB\nVmHWM:\t   1536 kB\n")
                .unwrap()
                .to_string(),
            "1.5"
        );
    }
}
