//! Metrics of servers per hour.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Serialize;

use super::bucket::hour_of;
use super::node::Metrics;

/// Retention of hourly metrics, in days.
pub const KEPT_DAYS: i64 = 90;

/// The values of one metric: how many, their sum, and the greatest one.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Values<T> {
    /// Number of the values.
    pub samples: i64,
    /// Sum of the values.
    pub sum: f64,
    /// Greatest value. `None` if there is no value.
    pub max: Option<T>,
}

impl<T: Copy + PartialOrd> Values<T> {
    fn add(&mut self, value: Option<T>, number: impl FnOnce(T) -> f64) {
        let Some(value) = value else { return };
        self.samples += 1;
        self.sum += number(value);
        self.max = greater(self.max, Some(value));
    }
}

fn greater<T: Copy + PartialOrd>(one: Option<T>, other: Option<T>) -> Option<T> {
    match (one, other) {
        (Some(one), Some(other)) => Some(if other > one { other } else { one }),
        (one, other) => one.or(other),
    }
}

/// The metrics of one server in one hour, summed up.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct MetricSums {
    /// Number of reports with metrics.
    pub samples: i64,
    /// CPU utilization over all cores, percent.
    pub cpu_percent: Values<f64>,
    /// Memory in use, bytes.
    pub memory_used: Values<i64>,
    /// Greatest total memory, bytes.
    pub memory_total: Option<i64>,
    /// Disk space in use, bytes.
    pub disk_used: Values<i64>,
    /// Greatest total disk space, bytes.
    pub disk_total: Option<i64>,
    /// Load average over one minute.
    pub load1: Values<f64>,
    /// Number of connected users.
    pub online_users: Values<i64>,
    /// Traffic from users to the internet, bytes per second.
    pub upload_rate: Values<i64>,
    /// Traffic from the internet to users, bytes per second.
    pub download_rate: Values<i64>,
}

impl MetricSums {
    /// Adds the metrics of a report.
    pub fn add(&mut self, metrics: &Metrics) {
        self.samples += 1;
        self.cpu_percent
            .add(metrics.cpu_percent, std::convert::identity);
        self.load1.add(metrics.load1, std::convert::identity);
        for (sums, value) in [
            (&mut self.memory_used, metrics.memory_used),
            (&mut self.disk_used, metrics.disk_used),
            (&mut self.online_users, metrics.online_users),
            (&mut self.upload_rate, metrics.upload_rate),
            (&mut self.download_rate, metrics.download_rate),
        ] {
            sums.add(value, rounded);
        }
        self.memory_total = greater(self.memory_total, metrics.memory_total);
        self.disk_total = greater(self.disk_total, metrics.disk_total);
    }
}

/// The nearest floating point number, which is the number itself below 2^53.
#[expect(
    clippy::as_conversions,
    clippy::cast_precision_loss,
    reason = "no `From` converts an `i64`; the mean of so large values needs no more digits"
)]
fn rounded(number: i64) -> f64 {
    number as f64
}

/// The server and the hour that metrics belong to.
pub type ServerHour = (i32, DateTime<Utc>);

/// Sums up metrics per server and hour, sorted by both. Each has its server and the time at which
/// it was measured.
pub fn sums<'m>(
    measured: impl Iterator<Item = (i32, DateTime<Utc>, &'m Metrics)>,
) -> BTreeMap<ServerHour, MetricSums> {
    let mut sums: BTreeMap<ServerHour, MetricSums> = BTreeMap::new();
    for (server, at, metrics) in measured {
        // Metrics without values are no sample.
        if *metrics != Metrics::default() {
            sums.entry((server, hour_of(at))).or_default().add(metrics);
        }
    }
    sums
}

/// The metrics of a node server in one hour. A metric that it did not report is `null`.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct NodeServerMetricsHour {
    /// Start of the hour, UTC.
    pub hour: DateTime<Utc>,
    /// Number of reports with metrics in the hour.
    pub samples: i64,
    /// Mean CPU utilization over all cores, 0 to 100 percent.
    pub cpu_percent_mean: Option<f64>,
    /// Greatest CPU utilization, 0 to 100 percent.
    pub cpu_percent_max: Option<f64>,
    /// Mean memory in use, bytes.
    pub memory_used_mean: Option<f64>,
    /// Greatest memory in use, bytes.
    pub memory_used_max: Option<i64>,
    /// Greatest total memory, bytes.
    pub memory_total: Option<i64>,
    /// Mean disk space in use, bytes.
    pub disk_used_mean: Option<f64>,
    /// Greatest disk space in use, bytes.
    pub disk_used_max: Option<i64>,
    /// Greatest total disk space, bytes.
    pub disk_total: Option<i64>,
    /// Mean of the load averages over one minute.
    pub load1_mean: Option<f64>,
    /// Greatest load average over one minute.
    pub load1_max: Option<f64>,
    /// Mean number of connected users.
    pub online_users_mean: Option<f64>,
    /// Greatest number of connected users.
    pub online_users_max: Option<i64>,
    /// Mean traffic from users to the internet, bytes per second.
    pub upload_rate_mean: Option<f64>,
    /// Greatest traffic from users to the internet, bytes per second.
    pub upload_rate_max: Option<i64>,
    /// Mean traffic from the internet to users, bytes per second.
    pub download_rate_mean: Option<f64>,
    /// Greatest traffic from the internet to users, bytes per second.
    pub download_rate_max: Option<i64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn metrics_are_summed_up_per_server_and_hour() {
        let cpu = |percent| Metrics {
            cpu_percent: Some(percent),
            ..Metrics::default()
        };
        let (low, high) = (cpu(10.0), cpu(30.0));
        let memory = Metrics {
            memory_used: Some(5),
            memory_total: Some(8),
            ..Metrics::default()
        };
        let measured = [
            (2, "2026-03-10T10:00:00Z", &high),
            (1, "2026-03-10T10:59:59.999999Z", &low),
            (1, "2026-03-10T11:00:00Z", &low),
            (1, "2026-03-10T10:00:00Z", &high),
            (1, "2026-03-10T10:30:00Z", &memory),
            (1, "2026-03-10T10:30:00Z", &Metrics::default()),
        ];
        let sums = sums(
            measured
                .map(|(server, time, m)| (server, at(time), m))
                .into_iter(),
        );
        let (ten, eleven) = (at("2026-03-10T10:00:00Z"), at("2026-03-10T11:00:00Z"));
        let keys: Vec<ServerHour> = sums.keys().copied().collect();
        assert_eq!(keys, [(1, ten), (1, eleven), (2, ten)]);
        let first = &sums[&(1, ten)];
        assert_eq!(first.samples, 3);
        let expected = Values {
            samples: 2,
            sum: 40.0,
            max: Some(30.0),
        };
        assert_eq!(first.cpu_percent, expected);
        assert_eq!(
            (first.memory_used.max, first.memory_total),
            (Some(5), Some(8))
        );
        assert_eq!((first.load1.samples, first.load1.max), (0, None));
    }

    #[test]
    fn sums_of_the_greatest_values_are_finite() {
        let largest = Metrics {
            download_rate: Some(i64::MAX),
            ..Metrics::default()
        };
        let mut sums = MetricSums::default();
        for _ in 0..3 {
            sums.add(&largest);
        }
        assert!(sums.download_rate.sum.is_finite());
        assert_eq!(sums.download_rate.max, Some(i64::MAX));
    }
}
