//! Pushes that may have billed too much or too little, as administrators see and decide them.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use strum::{EnumString, IntoStaticStr, VariantNames};
use uuid::Uuid;

use super::node_push::UnreadableRow;
use super::page::PageBounds;

/// Limits of a page of doubtful pushes. Matching pushes are counted up to `max_offset`.
pub const PAGES: PageBounds = PageBounds {
    default_limit: 50,
    max_limit: 200,
    max_offset: 10_000,
};
/// Maximum number of users that a correction lists as not corrected.
pub const MAX_UNCORRECTED: usize = 1_000;

/// What is doubtful about a push.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[derive(EnumString, IntoStaticStr, VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum PushDoubt {
    /// The push may contain an earlier one, whose rows would then be billed twice.
    ContainsPrevious,
    /// The push has rows of users that do not exist. They are not billed.
    UnknownUsers,
    /// The push has rows that could not be read. They are not billed.
    UnreadableRows,
}

/// What an administrator decided about a doubtful push.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[derive(EnumString, IntoStaticStr, VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum PushDecision {
    /// What is billed stays.
    Kept,
    /// What was billed twice was given back.
    Corrected,
}

/// Whether a doubtful push is decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, IntoStaticStr, EnumString, VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum DoubtState {
    /// An administrator has yet to decide.
    Open,
    /// An administrator has decided.
    Decided,
}

/// Selects doubtful pushes. A push must match every field that is not `None`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Filter {
    /// Id of the node server.
    pub server_id: Option<i32>,
    /// Id of the node client.
    pub node_client_id: Option<i32>,
    /// What is doubtful about it.
    pub doubt: Option<PushDoubt>,
    /// Whether the push is decided.
    pub state: Option<DoubtState>,
}

/// A push of node software that may have billed too much or too little.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DoubtfulPush {
    /// Id of the doubt.
    pub id: i64,
    /// What is doubtful: `contains_previous` (the push may contain an earlier one, whose rows would
    /// then be billed twice), `unknown_users` or `unreadable_rows` (rows that are not billed).
    pub doubt: PushDoubt,
    /// What speaks for `contains_previous`: `repeated` (the earlier push arrived more than once),
    /// `answered_late` (the earlier push was accepted later than its sender waits), `gap` (more
    /// than 1.5 intervals passed between the two), `larger` (always). Empty for other doubts.
    pub evidence: Vec<String>,
    /// Id under which the push is recorded.
    pub push_id: Uuid,
    /// Id under which the push is recorded that may be contained. `null` for other doubts.
    pub previous_push_id: Option<Uuid>,
    /// Id of the node access with which the push was sent.
    pub access_id: i64,
    /// Id of the node server.
    pub server_id: i32,
    /// Id of the node client. `null` if neither the access nor the push names one.
    pub node_client_id: Option<i32>,
    /// When the push arrived.
    pub arrived_at: DateTime<Utc>,
    /// Number of users at stake. For `contains_previous` those of the earlier push, for
    /// `unknown_users` those that do not exist.
    pub users: i32,
    /// Bytes of these users, as carried: the rows of the earlier push, or those that are not
    /// billed.
    pub bytes: i64,
    /// Whether these bytes are billed.
    pub billed: bool,
    /// Number of unreadable rows.
    pub unreadable_rows: i32,
    /// The first 10 unreadable rows.
    pub unreadable: Vec<UnreadableRow>,
    /// What an administrator decided. `null` while the doubt is open.
    pub decision: Option<PushDecision>,
    /// When an administrator decided.
    pub decided_at: Option<DateTime<Utc>>,
}
