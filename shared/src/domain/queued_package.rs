//! Package queue items, as administrators see them.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use strum::{EnumString, IntoStaticStr, VariantNames};
use uuid::Uuid;

/// Where a package item is in its life.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    Serialize,
    JsonSchema,
    EnumString,
    IntoStaticStr,
    VariantNames,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum PackageQueueStatus {
    /// It waits for its turn.
    InQueue,
    /// Usage is charged to it.
    Active,
    /// Its time or its traffic ran out.
    Consumed,
    /// It was taken back.
    Cancelled,
}

/// Why a package item ended.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    Serialize,
    JsonSchema,
    EnumString,
    IntoStaticStr,
    VariantNames,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum PackageEndReason {
    /// Its time ran out.
    Time,
    /// Its traffic ran out.
    Traffic,
    /// It was taken back.
    Cancelled,
}

/// A package owned by a user, with its whole life.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct QueuedPackage {
    /// Its id.
    pub id: i64,
    /// Its owner.
    pub user: Uuid,
    /// The order that bought it.
    pub order: Option<Uuid>,
    /// The package.
    pub package_id: i64,
    /// That package's name.
    pub package_name: String,
    /// That package's series.
    pub series: Uuid,
    /// That package's version.
    pub version: i32,
    /// Where it is in its life.
    pub status: PackageQueueStatus,
    /// Bytes charged for upload.
    pub upload: i64,
    /// Bytes charged for download.
    pub download: i64,
    /// Bytes charged, both ways together.
    pub used: i64,
    /// The package's traffic limit with this item's adjustment, bytes; may be negative. `None` if
    /// it is unlimited.
    pub quota: Option<i64>,
    /// Bytes left of the quota; 0 when it is exceeded. `None` if it is unlimited.
    pub quota_left: Option<i64>,
    /// Adjustment of the quota, bytes; may be negative.
    pub adjust_quota: i64,
    /// When it entered the queue.
    pub created_at: DateTime<Utc>,
    /// When it became active; none: it never was.
    pub activated_at: Option<DateTime<Utc>>,
    /// When its time runs out, or would have; none: it was never active.
    pub expires_at: Option<DateTime<Utc>>,
    /// When it ended; none: it has not.
    pub ended_at: Option<DateTime<Utc>>,
    /// Why it ended; none: it has not.
    pub end_reason: Option<PackageEndReason>,
}

/// Package items by status.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct PackageQueueCounts {
    /// Waiting.
    pub in_queue: i64,
    /// Active.
    pub active: i64,
    /// Run out.
    pub consumed: i64,
    /// Taken back.
    pub cancelled: i64,
    /// All together.
    pub total: i64,
}

impl PackageQueueCounts {
    /// With their total. No table holds so many rows that a sum could overflow.
    #[must_use]
    pub fn of(in_queue: i64, active: i64, consumed: i64, cancelled: i64) -> Self {
        let total = [active, consumed, cancelled]
            .into_iter()
            .fold(in_queue, i64::saturating_add);
        Self {
            in_queue,
            active,
            consumed,
            cancelled,
            total,
        }
    }

    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self::of(
            self.in_queue.saturating_add(other.in_queue),
            self.active.saturating_add(other.active),
            self.consumed.saturating_add(other.consumed),
            self.cancelled.saturating_add(other.cancelled),
        )
    }
}

/// The items of a series.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct PackageSeriesCounts {
    /// The series.
    pub series: Uuid,
    /// Name of its master, or of its newest version.
    pub name: String,
    /// Its items, all versions together.
    pub counts: PackageQueueCounts,
}
