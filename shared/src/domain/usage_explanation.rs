//! How billed usage came about.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::page::PageBounds;
use super::traffic_usage::TrafficSum;

/// Limits of a page of an explanation.
pub const PAGES: PageBounds = PageBounds {
    default_limit: 100,
    max_limit: 500,
    max_offset: 100_000,
};
/// Maximum number of lines that are returned for one billed part.
pub const MAX_LINES: usize = 20;

/// Limits of a page of corrections. Matching corrections are counted up to `max_offset`.
pub const CORRECTION_PAGES: PageBounds = PageBounds {
    default_limit: 50,
    max_limit: 200,
    max_offset: 10_000,
};

/// A correction of what a user is billed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UsageCorrection {
    /// Id of the correction.
    pub id: i64,
    /// Id of the user.
    pub user: Uuid,
    /// Start of the UTC hour whose usage is corrected.
    pub hour: DateTime<Utc>,
    /// Id of the node server.
    pub server_id: i32,
    /// Id of the node client. `null` if it is unknown.
    pub node_client_id: Option<i32>,
    /// Id of the package item whose counters are corrected. `null` if the usage is charged to no
    /// item.
    pub package_queue_id: Option<i64>,
    /// Bytes added to those billed for upload. Negative if the user is billed less.
    pub billed_upload: i64,
    /// Bytes added to those billed for download. Negative if the user is billed less.
    pub billed_download: i64,
    /// When the correction was made.
    pub corrected_at: DateTime<Utc>,
    /// Id of the administrator who made it.
    pub actor: Uuid,
    /// Reason in the administrator's words.
    pub reason: String,
}

/// Usage of one hour, node client and package item, as the histories add it up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ExplainedUsage {
    /// Start of the UTC hour.
    pub hour: DateTime<Utc>,
    /// Id of the node server.
    pub server_id: i32,
    /// Id of the node client. `null` if it is unknown.
    pub node_client_id: Option<i32>,
    /// Name of the node client. `null` if it was deleted or is unknown.
    pub node_client_name: Option<String>,
    /// Id of the package item that is charged. `null` if there is none.
    pub package_queue_id: Option<i64>,
    /// Carried and charged bytes, corrections included.
    #[serde(flatten)]
    pub traffic: TrafficSum,
}

/// A line of a report.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ExplainedLine {
    /// Id under which the report is recorded.
    pub report_id: Uuid,
    /// When the report arrived.
    pub received_at: DateTime<Utc>,
    /// Start of the period that the report covers.
    pub period_start: DateTime<Utc>,
    /// End of the period that the report covers.
    pub period_end: DateTime<Utc>,
    /// Bytes that the user sent.
    pub upload: i64,
    /// Bytes that the user received.
    pub download: i64,
    /// The traffic factor of the node client when the report arrived.
    pub factor: f64,
}

/// What one billing run billed to a user for one hour and node client. It adds up the lines of its
/// reports, multiplies each by its factor, and rounds the sum once, half away from zero.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct BilledPart {
    /// Id of the billing run. `null` if the reports are not billed yet. They are not part of any
    /// sum then.
    pub billing_run_id: Option<Uuid>,
    /// Id of the node server.
    pub server_id: i32,
    /// Id of the node client. `null` if it is unknown.
    pub node_client_id: Option<i32>,
    /// Name of the node client. `null` if it was deleted or is unknown.
    pub node_client_name: Option<String>,
    /// Bytes that the user sent, as carried.
    pub raw_upload: i64,
    /// Bytes that the user received, as carried.
    pub raw_download: i64,
    /// Bytes charged for upload. 0 if not billed yet.
    pub billed_upload: i64,
    /// Bytes charged for download. 0 if not billed yet.
    pub billed_download: i64,
    /// The charge for upload before it was rounded, in bytes, such as `2502.5`.
    pub exact_upload: String,
    /// The charge for download before it was rounded, in bytes.
    pub exact_download: String,
    /// The first 20 lines, by arrival.
    pub lines: Vec<ExplainedLine>,
    /// Number of all lines of the part.
    pub line_count: i64,
}
