//! Reports of which all or some lines are not billed until an administrator releases them.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use strum::{EnumString, IntoStaticStr, VariantNames};
use uuid::Uuid;

use super::page::PageBounds;

/// Limits of a page of quarantined reports. Matching reports are counted up to `max_offset`. A page
/// is smaller than those of other lists, because a report may have 10,000 lines, which are summed.
pub const PAGES: PageBounds = PageBounds {
    default_limit: 50,
    max_limit: 100,
    max_offset: 10_000,
};

/// Why a report is in quarantine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[derive(EnumString, IntoStaticStr, VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum QuarantineReason {
    /// The server cannot carry the reported bytes in the reported period. All lines are
    /// quarantined.
    ImplausibleBytes,
    /// Some lines name a node client that the server does not have. Only these lines are
    /// quarantined.
    UnknownNodeClient,
}

/// Whether a quarantined report is released.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, IntoStaticStr, EnumString, VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum QuarantineState {
    /// The quarantined lines are not billed.
    Waiting,
    /// An administrator has released the quarantined lines.
    Released,
}

/// Selects quarantined reports. A report must match every field that is not `None`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Filter {
    /// Id of the node server.
    pub server_id: Option<i32>,
    /// Why the report is in quarantine.
    pub reason: Option<QuarantineReason>,
    /// Whether the report is released.
    pub state: Option<QuarantineState>,
}

/// A report of which all or some lines are or were in quarantine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct QuarantinedReport {
    /// Id in the quarantine.
    pub id: i64,
    /// Id that the collector assigned to the report.
    pub report_id: Uuid,
    /// Id of the node server that the report is about.
    pub server_id: i32,
    /// SQS's `SenderId` of the collector. `null` if the queue did not provide it.
    pub sender_id: Option<String>,
    /// Start of the reported period, inclusive.
    pub period_start: DateTime<Utc>,
    /// End of the reported period, exclusive.
    pub period_end: DateTime<Utc>,
    /// When the report arrived.
    pub received_at: DateTime<Utc>,
    /// Why it is in quarantine: `implausible_bytes` (all lines) or `unknown_node_client` (the lines
    /// of clients that the server did not have).
    pub reason: QuarantineReason,
    /// Number of quarantined lines.
    pub lines: i64,
    /// Number of these lines whose client the server did not have. A release bills them at a factor
    /// that the administrator gives.
    pub lines_without_factor: i64,
    /// Bytes that users sent according to the quarantined lines, before the traffic factor.
    pub upload: i64,
    /// Bytes that users received according to the quarantined lines, before the traffic factor.
    pub download: i64,
    /// When the lines were released. `null` while they wait.
    pub released_at: Option<DateTime<Utc>>,
    /// Who released them: the `sub` claim of the caller's token, or the database login. `null`
    /// while they wait.
    pub released_by: Option<String>,
    /// Reason for the release. `null` while they wait.
    pub release_reason: Option<String>,
}
