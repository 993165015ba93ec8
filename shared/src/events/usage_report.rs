//! `UsageReport`: the message that a collector sends about one node server and one period.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{PayloadHash, parse};
use crate::domain::node::Metrics;
use crate::error::Error;

/// Value of the field `type`.
pub const TYPE: &str = "usage.report.v1";
/// Maximum length of a body, which is that of an SQS message.
pub const MAX_BODY_BYTES: usize = 1 << 20;
/// Maximum number of usage lines in a report.
pub const MAX_LINES: usize = 10_000;
/// Maximum upload or download of one line: 1 PiB.
pub const MAX_LINE_BYTES: i64 = 1 << 50;
/// Maximum sum over a report: 8 PiB. With the maximum factor, 100, it still fits an `i64`.
pub const MAX_REPORT_BYTES: i64 = 1 << 53;
/// Maximum age of `period_start`, in days.
pub const MAX_AGE_DAYS: i64 = 35;
/// Maximum time by which a collector's clock may be ahead of ours, in minutes.
pub const MAX_AHEAD_MINUTES: i64 = 5;

/// Traffic of one user through one node client in the period.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsageLine {
    /// Id of the user.
    pub user: Uuid,
    /// Id of the node client. `None` stands for the server's client with the lowest id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_client_id: Option<i32>,
    /// Bytes sent by the user.
    pub upload: i64,
    /// Bytes received by the user.
    pub download: i64,
}

/// One report. An empty `usage` is a heartbeat.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UsageReport {
    /// Always `usage.report.v1`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Idempotency key. The collector creates it before the first attempt and reuses it on every
    /// retry.
    pub report_id: Uuid,
    /// The node server that carried the traffic.
    pub server_id: i32,
    /// Start of the period, inclusive.
    pub period_start: DateTime<Utc>,
    /// End of the period, exclusive.
    pub period_end: DateTime<Utc>,
    /// Traffic by user and node client.
    pub usage: Vec<UsageLine>,
    /// Metrics of the server. `None` if the collector sent none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metrics: Option<Metrics>,
}

impl UsageReport {
    /// Parses a body and checks every limit of this module. `now` is the time of arrival.
    pub fn parse(body: &str, now: DateTime<Utc>) -> Result<Self, Error> {
        check_body_size(body)?;
        let report: Self = parse(body)?;
        report.check(now)?;
        Ok(report)
    }

    /// Checks every limit of this module but the size of the body.
    pub(super) fn check(&self, now: DateTime<Utc>) -> Result<(), Error> {
        self.check_type()?;
        self.check_period(now)?;
        self.check_usage()?;
        match &self.metrics {
            Some(metrics) => check_metrics("metrics", metrics),
            None => Ok(()),
        }
    }

    fn check_type(&self) -> Result<(), Error> {
        if self.kind == TYPE {
            return Ok(());
        }
        Err(Error::invalid(
            "unsupported_type",
            "type",
            format!("unknown type; expected {TYPE:?}"),
        ))
    }

    fn check_period(&self, now: DateTime<Utc>) -> Result<(), Error> {
        if self.period_start > self.period_end {
            return Err(Error::invalid(
                "period_reversed",
                "period_start",
                "is later than period_end",
            ));
        }
        if self.period_end > now + TimeDelta::minutes(MAX_AHEAD_MINUTES) {
            let message =
                format!("is more than {MAX_AHEAD_MINUTES} minutes in the future; it is now {now}");
            return Err(Error::invalid("period_in_future", "period_end", message));
        }
        if self.period_start < now - TimeDelta::days(MAX_AGE_DAYS) {
            let message = format!("is more than {MAX_AGE_DAYS} days in the past; it is now {now}");
            return Err(Error::invalid("period_too_old", "period_start", message));
        }
        Ok(())
    }

    fn check_usage(&self) -> Result<(), Error> {
        if self.usage.len() > MAX_LINES {
            let message = format!("has {} lines; the maximum is {MAX_LINES}", self.usage.len());
            return Err(Error::invalid("too_many_lines", "usage", message));
        }
        for (index, line) in self.usage.iter().enumerate() {
            for (name, bytes) in [("upload", line.upload), ("download", line.download)] {
                if !(0..=MAX_LINE_BYTES).contains(&bytes) {
                    let message = format!("invalid value; expected 0 to {MAX_LINE_BYTES} bytes");
                    return Err(Error::invalid(
                        "bytes_out_of_range",
                        format!("usage[{index}].{name}"),
                        message,
                    ));
                }
            }
        }
        let total = self.total_bytes();
        if total > MAX_REPORT_BYTES {
            let message = format!("the sum of all lines exceeds {MAX_REPORT_BYTES} bytes");
            return Err(Error::invalid(
                "report_bytes_out_of_range",
                "usage",
                message,
            ));
        }
        Ok(())
    }

    /// Sum of the upload and the download of all lines, bytes.
    #[must_use]
    pub fn total_bytes(&self) -> i64 {
        let sum = |total: i64, line: &UsageLine| {
            total
                .saturating_add(line.upload)
                .saturating_add(line.download)
        };
        self.usage.iter().fold(0, sum)
    }

    /// SHA-256 of the server, the period and the usage lines in their order. The metrics are left
    /// out because a retry may carry newer ones, and the id because it is the key of the hash.
    #[must_use]
    pub fn payload_hash(&self) -> Vec<u8> {
        let mut hash = PayloadHash::default();
        hash.add(self.server_id.to_le_bytes());
        hash.add(self.period_start.timestamp_micros().to_le_bytes());
        hash.add(self.period_end.timestamp_micros().to_le_bytes());
        for line in &self.usage {
            hash.add(line.user.into_bytes());
            hash.add_option(line.node_client_id.map(i32::to_le_bytes));
            hash.add(line.upload.to_le_bytes());
            hash.add(line.download.to_le_bytes());
        }
        hash.finish()
    }
}

/// Checks the length of a body.
pub(super) fn check_body_size(body: &str) -> Result<(), Error> {
    if body.len() <= MAX_BODY_BYTES {
        return Ok(());
    }
    let message = format!(
        "the body has {} bytes; the maximum is {MAX_BODY_BYTES}",
        body.len()
    );
    Err(Error::invalid("body_too_large", ".", message))
}

/// Checks the metrics in the field `path`.
pub(super) fn check_metrics(path: &str, metrics: &Metrics) -> Result<(), Error> {
    let out_of_range = |name: &str, accepted: &str| {
        Err(Error::invalid(
            "metric_out_of_range",
            format!("{path}.{name}"),
            format!("invalid value; expected {accepted}"),
        ))
    };
    if metrics
        .cpu_percent
        .is_some_and(|percent| !(0.0..=100.0).contains(&percent))
    {
        return out_of_range("cpu_percent", "0 to 100");
    }
    if metrics
        .load1
        .is_some_and(|load| !(0.0..=1e6).contains(&load))
    {
        return out_of_range("load1", "0 to 1000000");
    }
    let counts = [
        ("memory_used", metrics.memory_used),
        ("memory_total", metrics.memory_total),
        ("disk_used", metrics.disk_used),
        ("disk_total", metrics.disk_total),
        ("online_users", metrics.online_users),
        ("uptime_seconds", metrics.uptime_seconds),
        ("upload_rate", metrics.upload_rate),
        ("download_rate", metrics.download_rate),
    ];
    match counts
        .iter()
        .find(|(_, count)| count.is_some_and(|count| count < 0))
    {
        Some((name, _)) => out_of_range(name, "a whole number of at least 0"),
        None => Ok(()),
    }
}
