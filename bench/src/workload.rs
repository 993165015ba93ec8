//! The collectors' reports of all servers, minute by minute, in the form in which the queue
//! delivers them.

use std::time::Duration;

use anyhow::{Context as _, Result};
use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::json;
use shared::clock::{Clock, System};
use shared::domain::node::Metrics;
use shared::events::usage_report::{TYPE, UsageLine, UsageReport};
use uuid::Uuid;

use crate::fleet::{Device, LINES_PER_SERVER, SERVERS};
use crate::requests::sqs_requests;

/// Reports per delivery: the `BatchSize` of template.yaml, with 10,000 usage rows.
pub const REPORTS_PER_DELIVERY: usize = 100;

/// How often a node reports, and for how many minutes.
#[derive(Debug, Clone, Copy)]
pub struct Rhythm {
    pub name: &'static str,
    /// Time between two reports of a server.
    pub period: Duration,
    /// Number of minutes with reports.
    pub minutes: u32,
    /// Number of minutes that are ingested, billed and applied together. 1 if billing works.
    pub at_once: usize,
}

impl Rhythm {
    fn reports_per_minute(&self) -> u32 {
        u32::try_from(60 / self.period.as_secs().max(1)).unwrap_or(1)
    }
}

/// Usage of one user in one report.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    pub device: Device,
    /// In bytes. Upload and download are even, so that every factor bills whole bytes and the
    /// expected sums need no rounding.
    pub upload: i64,
    pub download: i64,
}

/// One minute of reports.
#[derive(Debug)]
pub struct Minute {
    /// Events as Lambda delivers them, with 10,000 usage rows each.
    pub deliveries: Vec<Vec<u8>>,
    /// The events' rows, in the same order.
    pub rows: Vec<Row>,
    /// Requests that SQS bills for the reports. Each collector sends its reports one by one.
    pub requests: usize,
}

impl Minute {
    /// Merges each `at_once` successive minutes.
    pub fn merge(minutes: Vec<Self>, at_once: usize) -> Vec<Self> {
        let mut merged: Vec<Self> = Vec::new();
        for (number, minute) in minutes.into_iter().enumerate() {
            match merged.last_mut().filter(|_| number % at_once != 0) {
                Some(open) => {
                    open.deliveries.extend(minute.deliveries);
                    open.rows.extend(minute.rows);
                    open.requests += minute.requests;
                }
                None => merged.push(minute),
            }
        }
        merged
    }
}

/// Generates reports. The same seed yields the same reports.
#[derive(Debug)]
pub struct Collectors<'f> {
    devices: &'f [Device],
    random: ChaCha8Rng,
    start: DateTime<Utc>,
}

impl<'f> Collectors<'f> {
    /// The reports of `devices`. The first period starts at `start`.
    pub fn new(devices: &'f [Device], seed: u64, start: DateTime<Utc>) -> Self {
        Self {
            devices,
            random: ChaCha8Rng::seed_from_u64(seed),
            start,
        }
    }

    pub fn minute(&mut self, rhythm: &Rhythm) -> Result<Minute> {
        let (bodies, rows) = self.bodies(rhythm)?;
        let deliveries = deliveries(&bodies, REPORTS_PER_DELIVERY)?;
        Ok(Minute {
            deliveries,
            rows,
            requests: sqs_requests(bodies.chunks(1), &bodies),
        })
    }

    /// Generates the reports of the next minute. Also returns their rows.
    pub fn bodies(&mut self, rhythm: &Rhythm) -> Result<(Vec<String>, Vec<Row>)> {
        let (mut bodies, mut rows) = (Vec::new(), Vec::new());
        for _ in 0..rhythm.reports_per_minute() {
            for server_id in 1..=SERVERS {
                bodies.push(self.report(server_id, rhythm.period, &mut rows)?);
            }
            self.start += rhythm.period;
        }
        Ok((bodies, rows))
    }

    fn report(&mut self, server_id: i32, period: Duration, rows: &mut Vec<Row>) -> Result<String> {
        let per_server = usize::try_from(LINES_PER_SERVER)?;
        let first = usize::try_from(server_id - 1)? * per_server;
        let mut usage = Vec::with_capacity(per_server);
        for &device in self.devices.iter().skip(first).take(per_server) {
            let row = Row {
                device,
                upload: self.random.random_range(0..2_000_000_i64) * 2,
                download: self.random.random_range(0..20_000_000_i64) * 2,
            };
            rows.push(row);
            usage.push(UsageLine {
                user: device.user_id,
                node_client_id: Some(device.client_id),
                upload: row.upload,
                download: row.download,
            });
        }
        let report = UsageReport {
            kind: TYPE.to_owned(),
            report_id: self.report_id(period)?,
            server_id,
            period_start: self.start,
            period_end: self.start + period,
            usage,
            metrics: Some(metrics()),
        };
        serde_json::to_string(&report).context("Cannot serialize a report.")
    }

    /// A UUID of version 7 that was made when the period ended, as `telecom-collector` makes it.
    fn report_id(&mut self, period: Duration) -> Result<Uuid> {
        let made_at = u64::try_from((self.start + period).timestamp_millis())?;
        let random: [u8; 10] = self.random.random();
        Ok(uuid::Builder::from_unix_timestamp_millis(made_at, &random).into_uuid())
    }
}

fn metrics() -> Metrics {
    Metrics {
        cpu_percent: Some(12.5),
        memory_used: Some(1 << 30),
        memory_total: Some(2 << 30),
        load1: Some(0.7),
        online_users: Some(i64::from(LINES_PER_SERVER)),
        uptime_seconds: Some(86_400),
        ..Metrics::default()
    }
}

/// Events of a queue with at most `size` messages each.
pub fn deliveries(bodies: &[String], size: usize) -> Result<Vec<Vec<u8>>> {
    bodies.chunks(size).map(delivery).collect()
}

/// An event of the queue, as Lambda delivers it to a function.
pub fn delivery(bodies: &[String]) -> Result<Vec<u8>> {
    let sent = System.now().timestamp_millis().to_string();
    let record = |body: &String| {
        json!({
            "messageId": Uuid::new_v4(), "receiptHandle": "AQEBwJnKyrHigUMZj6rYigCgxlaS3SLy0a",
                "body": body,
            "attributes": {
                "ApproximateReceiveCount": "1", "SentTimestamp": sent,
                "SenderId": "AIDAIENQZJOLO23YVJ4VO", "ApproximateFirstReceiveTimestamp": sent,
                "AWSTraceHeader": trace_header()
            },
            "messageAttributes": {}, "md5OfBody": "e4e68fb7bd0e697a0ae8f1bb342846b3",
                "eventSource": "aws:sqs",
            "eventSourceARN": "arn:aws:sqs:eu-central-1:123456789012:telecom",
                "awsRegion": "eu-central-1"
        })
    };
    let records: Vec<serde_json::Value> = bodies.iter().map(record).collect();
    serde_json::to_vec(&json!({ "Records": records })).context("Cannot serialize an event.")
}

/// The header of a trace of its own.
fn trace_header() -> String {
    let id = Uuid::new_v4().simple().to_string();
    let (time, random) = id.split_at(8);
    format!("Root=1-{time}-{random};Parent=53995c3f42cd8ad8;Sampled=0")
}

/// Returns the start of the hour before the current one, so that every period lies in one past
/// hour.
pub fn past_hour(now: DateTime<Utc>) -> DateTime<Utc> {
    let hour = TimeDelta::hours(1);
    now.duration_trunc(hour).unwrap_or(now) - hour
}
