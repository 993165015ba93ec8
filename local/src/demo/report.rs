//! What a collector says: its own writing of the body, apart from the types of the code under test.

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// What one user moved through one node client, in bytes: user, client (none: the collector does
/// not know), upload, download. Written as an array: accounts hold millions of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line(pub Uuid, pub Option<i32>, pub i64, pub i64);

/// A report as the account keeps it: all that is billed by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Made before the first send, the same at every retry.
    pub id: Uuid,
    /// The node server.
    pub server: i32,
    /// Start of the period, inclusive.
    pub start: DateTime<Utc>,
    /// End of the period, exclusive.
    pub end: DateTime<Utc>,
    /// Usage; none: a heartbeat.
    pub lines: Vec<Line>,
}

/// How the server was. Not kept in the account: nothing is billed by it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Metrics {
    /// Processor load, 0 to 100.
    pub cpu_percent: f64,
    /// Bytes.
    pub memory_used: i64,
    /// Bytes.
    pub memory_total: i64,
    /// Load average over a minute.
    pub load1: f64,
    /// Users connected.
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
    /// The message body.
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
