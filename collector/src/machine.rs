//! The load of this machine, from `/proc`. What cannot be read is left out.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use rustix::fs::statvfs;
use serde::Serialize;

/// The metrics of a report. Bytes, bytes per second and seconds.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Metrics {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_percent: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_used: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_total: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disk_used: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disk_total: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub load1: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub online_users: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uptime_seconds: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upload_rate: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub download_rate: Option<i64>,
}

/// Measures this machine. The use of the processors is that since the last measurement.
#[derive(Debug, Default)]
pub struct Machine {
    last: Option<Processors>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Processors {
    busy: u64,
    total: u64,
}

impl Machine {
    pub fn measure(&mut self) -> Metrics {
        let now = read("stat").and_then(|text| processors(&text));
        let last = std::mem::replace(&mut self.last, now);
        let (memory_used, memory_total) = read("meminfo").and_then(|text| memory(&text)).unzip();
        let (disk_used, disk_total) = disk(Path::new("/")).unzip();
        Metrics {
            cpu_percent: now
                .zip(last)
                .and_then(|(now, last)| now.percent_since(last)),
            memory_used,
            memory_total,
            disk_used,
            disk_total,
            load1: read("loadavg").and_then(|text| first(&text)),
            uptime_seconds: read("uptime").and_then(|text| whole(&text)),
            ..Metrics::default()
        }
    }
}

fn read(file: &str) -> Option<String> {
    fs::read_to_string(Path::new("/proc").join(file)).ok()
}

fn first(text: &str) -> Option<f64> {
    let number: f64 = text.split_whitespace().next()?.parse().ok()?;
    Some(number).filter(|number| (0.0..=1_000_000.0).contains(number))
}

fn whole(text: &str) -> Option<i64> {
    text.split('.').next()?.trim().parse().ok()
}

/// The first line of `/proc/stat`: user, nice, system, idle, iowait, irq, softirq, steal.
fn processors(text: &str) -> Option<Processors> {
    let line = text.lines().next()?.strip_prefix("cpu ")?;
    let ticks = line.split_whitespace().take(8).map(str::parse);
    let ticks: Vec<u64> = ticks.collect::<Result<_, _>>().ok()?;
    let total = ticks.iter().sum();
    let idle: u64 = ticks.iter().skip(3).take(2).sum();
    Some(Processors {
        busy: total - idle,
        total,
    })
}

impl Processors {
    fn percent_since(self, last: Self) -> Option<f64> {
        let total = self
            .total
            .checked_sub(last.total)
            .filter(|total| *total > 0)?;
        let busy = self.busy.checked_sub(last.busy)?.min(total);
        // In tenths of a percent, which a 32-bit number holds.
        let tenths = u32::try_from(busy.checked_mul(1000)? / total).ok()?;
        Some(f64::from(tenths) / 10.0)
    }
}

/// Used and total bytes. What the kernel could free at once is not used.
fn memory(text: &str) -> Option<(i64, i64)> {
    let fields: HashMap<&str, &str> = text
        .lines()
        .filter_map(|line| line.split_once(':'))
        .collect();
    let bytes = |name: &str| {
        let kib: i64 = fields.get(name)?.split_whitespace().next()?.parse().ok()?;
        kib.checked_mul(1024)
    };
    let total = bytes("MemTotal")?;
    Some((total - bytes("MemAvailable")?.min(total), total))
}

fn disk(path: &Path) -> Option<(i64, i64)> {
    let disk = statvfs(path).ok()?;
    let bytes = |blocks: u64| i64::try_from(blocks.checked_mul(disk.f_frsize)?).ok();
    let total = bytes(disk.f_blocks)?;
    Some((total - bytes(disk.f_bfree)?.min(total), total))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_use_of_the_processors_is_that_between_two_measurements() {
        let before = processors("cpu  100 0 100 700 100 0 0 0 5 5\ncpu0 1\n").unwrap();
        let after = processors("cpu  150 0 150 1400 200 0 0 0 9 9\n").unwrap();
        assert_eq!(after.percent_since(before), Some(11.1));
        assert_eq!(before.percent_since(before), None);
        assert_eq!(before.percent_since(after), None);
    }

    #[test]
    fn memory_that_could_be_freed_is_not_used() {
        let text = "MemTotal:  1000 kB\nMemFree:  10 kB\nMemAvailable:  600 kB\n";
        assert_eq!(memory(text), Some((400 * 1024, 1000 * 1024)));
        assert_eq!(memory("MemTotal:  1000 kB\n"), None);
    }

    #[test]
    fn this_machine_can_be_measured() {
        let metrics = Machine::default().measure();
        assert_eq!(metrics.cpu_percent, None);
        assert!(metrics.uptime_seconds.unwrap() > 0);
        assert!(metrics.memory_used <= metrics.memory_total);
        assert!(metrics.disk_used <= metrics.disk_total);
    }
}
