//! The message body of a collector, written independently of the types of the code under test.

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// One user's traffic through one node client, in bytes: user, client (`None` if the collector does
/// not know it), upload, download. Serialized as an array, because accounts contain millions of
/// lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line(pub Uuid, pub Option<i32>, pub i64, pub i64);

/// A report as the account stores it. It contains everything that affects the bill.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Generated before the first send, and the same for every retry.
    pub id: Uuid,
    pub server: i32,
    /// Start of the period, inclusive.
    pub start: DateTime<Utc>,
    /// End of the period, exclusive.
    pub end: DateTime<Utc>,
    /// Empty for a heartbeat.
    pub lines: Vec<Line>,
}

/// The server's condition. Not stored in the account, because it does not affect the bill.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Metrics {
    /// Processor load, 0 to 100.
    pub cpu_percent: f64,
    /// In bytes.
    pub memory_used: i64,
    /// In bytes.
    pub memory_total: i64,
    /// Load average over a minute.
    pub load1: f64,
    pub online_users: i64,
    /// Seconds since the server started.
    pub uptime_seconds: i64,
}

#[derive(Serialize)]
struct Body<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    report_id: Uuid,
    server_id: i32,
    period_start: String,
    period_end: String,
    usage: Vec<BodyLine>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metrics: Option<&'a Metrics>,
}

#[derive(Serialize)]
struct BodyLine {
    user: Uuid,
    #[serde(skip_serializing_if = "Option::is_none")]
    node_client_id: Option<i32>,
    upload: i64,
    download: i64,
}

impl Report {
    pub fn body(&self, metrics: Option<&Metrics>) -> serde_json::Result<String> {
        let time = |at: DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::Micros, true);
        let line = |&Line(user, node_client_id, upload, download): &Line| BodyLine {
            user,
            node_client_id,
            upload,
            download,
        };
        serde_json::to_string(&Body {
            kind: "usage.report.v1",
            report_id: self.id,
            server_id: self.server,
            period_start: time(self.start),
            period_end: time(self.end),
            usage: self.lines.iter().map(line).collect(),
            metrics,
        })
    }
}
