//! Messages that could not be processed, as administrators see them.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use strum::{EnumString, IntoStaticStr, VariantArray, VariantNames};

/// Retention of the reasons why messages failed, in days. As long as a dead-letter queue keeps its
/// messages.
pub const KEPT_DAYS: i64 = 14;
/// Maximum length of a stored reason, in characters.
pub const MAX_REASON: usize = 500;
/// Number of the newest failed messages of a queue whose reasons are summed up.
pub const MAX_MESSAGES: i64 = 1_000;
/// Maximum number of error codes that are returned for a queue.
pub const MAX_REASONS: i64 = 20;

/// A queue that has a dead-letter queue.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, EnumString, IntoStaticStr, VariantArray, VariantNames,
)]
#[strum(serialize_all = "kebab-case")]
pub enum Queue {
    /// Usage reports of collectors.
    UsageReport,
    /// What nodes report over HTTPS.
    NodeUsage,
    /// What users are charged.
    UserUsageBilling,
    /// Package items that must end.
    PackageExpiring,
    /// Orders and cancellations of the shop.
    PackageOrder,
    /// Facts for the receivers of webhooks.
    WebhookEvent,
    /// Schedules that could not start their function. No function consumes them.
    Schedule,
}

/// A queue with what could not be processed of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct DeadLetterQueue {
    /// Name of the queue without the name of the stack: `usage-report`, `node-usage`,
    /// `user-usage-billing`, `package-expiring`, `package-order`, `webhook-event` or `schedule`.
    pub queue: String,
    /// Number of messages in its dead-letter queue at `counted_at`. `null` if they were never
    /// counted.
    pub dead_letters: Option<i64>,
    /// When the messages were counted, which is done every minute. `null` if never.
    pub counted_at: Option<DateTime<Utc>>,
    /// Why messages of the queue failed in the last 14 days, by the code of the error, the newest
    /// failure first. At most 20 codes, of the newest 1000 messages that failed. Messages that were
    /// processed after a failure are included.
    pub reasons: Vec<FailureReason>,
}

/// The messages that failed with the same error code at their last attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct FailureReason {
    /// Code of the error.
    pub error_code: String,
    /// The error of the message that failed last, with its cause. It contains nothing of the
    /// message's body.
    pub reason: String,
    /// Number of messages that failed with this code.
    pub messages: i64,
    /// Id of the message that failed last, as SQS knows it.
    pub last_message_id: String,
    /// Earliest failure of one of these messages.
    pub first_failed_at: DateTime<Utc>,
    /// Newest failure of one of these messages.
    pub last_failed_at: DateTime<Utc>,
}
