//! The metrics that node software reports. A value that makes no sense is left out, so that it
//! never costs a heartbeat.

use serde_json::value::RawValue;

use super::json::{count, each_field, float, scalar};
use crate::domain::node::Metrics;

/// Maximum load average of a usage report.
const MAX_LOAD: f64 = 1e6;

/// Adds a status: `{"cpu":12.5,"mem":{"total":8e9,"used":3e9},"disk":{…}}`, CPU in percent.
pub(super) fn add_status(metrics: &mut Metrics, name: &str, value: &RawValue) {
    match name {
        "cpu" => metrics.cpu_percent = percent(float(value)),
        "mem" => (metrics.memory_used, metrics.memory_total) = used_and_total(value),
        "disk" => (metrics.disk_used, metrics.disk_total) = used_and_total(value),
        "uptime" => metrics.uptime_seconds = count(value),
        _ => {}
    }
}

/// Adds a value of the `metrics` of a report. `inbound` is what users receive.
pub(super) fn add_metric(metrics: &mut Metrics, name: &str, value: &RawValue) {
    match name {
        "uptime" => metrics.uptime_seconds = count(value),
        "active_users" => metrics.online_users = count(value),
        "inbound_speed" => metrics.download_rate = count(value),
        "outbound_speed" => metrics.upload_rate = count(value),
        "load" => {
            // What is not an object has no load.
            let _ = each_field(value.get(), |name, value| {
                if name == "load1" {
                    metrics.load1 = load(float(value));
                }
            });
        }
        _ => {}
    }
}

/// Adds a value of a `mod_mu` node: `{"uptime":"3600","load":"0.12 0.30 0.40"}`. The three numbers
/// are the fractions of CPU, memory and disk in use, as `XrayR` sends them, unless one of them is
/// more than 1. They are then load averages, as older software sends them.
pub(super) fn add_load(metrics: &mut Metrics, name: &str, value: &RawValue) {
    match name {
        "uptime" => metrics.uptime_seconds = count(value),
        "load" => {
            let text = scalar(value).unwrap_or_default();
            let numbers: Option<Vec<f64>> = text
                .split_whitespace()
                .take(3)
                .map(|number| {
                    number
                        .parse()
                        .ok()
                        .filter(|number: &f64| number.is_finite())
                })
                .collect();
            let numbers = numbers.unwrap_or_default();
            let first = numbers.first().copied();
            if numbers.iter().all(|number| (0.0..=1.0).contains(number)) {
                metrics.cpu_percent = percent(first.map(|cpu| cpu * 100.0));
            } else {
                metrics.load1 = load(first);
            }
        }
        _ => {}
    }
}

/// A percentage of at most 100. `None` if the value is negative.
fn percent(value: Option<f64>) -> Option<f64> {
    value
        .filter(|value| *value >= 0.0)
        .map(|value| value.min(100.0))
}

fn load(value: Option<f64>) -> Option<f64> {
    value.filter(|value| (0.0..=MAX_LOAD).contains(value))
}

/// The parts of `{"total":8e9,"used":3e9}`. Neither if more is used than there is.
fn used_and_total(value: &RawValue) -> (Option<i64>, Option<i64>) {
    let (mut used, mut total) = (None, None);
    // What is not an object has neither.
    let _ = each_field(value.get(), |name, value| match name {
        "used" => used = count(value),
        "total" => total = count(value).filter(|total| *total > 0),
        _ => {}
    });
    match (used, total) {
        (Some(used), Some(total)) if used > total => (None, None),
        (used, total) => (used, total),
    }
}
