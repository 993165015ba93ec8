//! Package queue items as administrators see them.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use strum::{EnumString, IntoStaticStr, VariantNames};
use uuid::Uuid;

use super::page::PageBounds;

/// Limits of a page of package items. Matching items are counted up to `max_offset`. A caller with
/// more items needs a filter.
pub const PAGES: PageBounds = PageBounds {
    default_limit: 50,
    max_limit: 200,
    max_offset: 10_000,
};

/// Selects package items. An item must match every field that is not `None`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Filter {
    /// Owner of the item.
    pub user: Option<Uuid>,
    /// The order that delivered the item.
    pub order: Option<Uuid>,
    /// Id of the package.
    pub package: Option<i64>,
    /// Status of the item.
    pub status: Option<PackageQueueStatus>,
}

/// Status of a package item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[derive(EnumString, IntoStaticStr, VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum PackageQueueStatus {
    /// Waiting in the queue.
    InQueue,
    /// Active. Usage is charged to this item.
    Active,
    /// The time or the traffic of the item ran out.
    Consumed,
    /// The item was cancelled.
    Cancelled,
}

/// Why a package item ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[derive(EnumString, IntoStaticStr, VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum PackageEndReason {
    /// The time of the package ran out.
    Time,
    /// The traffic quota was used up.
    Traffic,
    /// The item was cancelled.
    Cancelled,
}

/// A package owned by a user, from its entry into the queue to its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct QueuedPackage {
    /// Id of the package item.
    pub id: i64,
    /// Id of the owner.
    pub user: Uuid,
    /// Id of the order that bought the item. `null` if there is none.
    pub order: Option<Uuid>,
    /// Id of the package.
    pub package_id: i64,
    /// Name of the package.
    pub package_name: String,
    /// Id of the package's series.
    pub series: Uuid,
    /// Version of the package within its series.
    pub version: i32,
    /// Status of the item.
    pub status: PackageQueueStatus,
    /// Bytes charged for upload.
    pub upload: i64,
    /// Bytes charged for download.
    pub download: i64,
    /// Bytes charged: upload plus download.
    pub used: i64,
    /// Traffic limit in bytes: the limit of the package plus `adjust_quota`. It may be negative.
    /// `null` if unlimited.
    pub quota: Option<i64>,
    /// Remaining bytes of the quota, 0 if it is exceeded. `null` if unlimited.
    pub quota_left: Option<i64>,
    /// Adjustment of the quota for this item, in bytes. It may be negative.
    pub adjust_quota: i64,
    /// When the item entered the queue.
    pub created_at: DateTime<Utc>,
    /// When the item became active. `null` if it never did.
    pub activated_at: Option<DateTime<Utc>>,
    /// When the time of the item runs out, or would have run out. `null` if it was never active.
    pub expires_at: Option<DateTime<Utc>>,
    /// Seconds by which extensions and `SetPackageEnd` moved the end of the item. `expires_at`
    /// includes them. Negative if the item ends earlier than its package says.
    // An answer that the previous version stored for a repeated call lacks the field.
    #[serde(default)]
    pub extended_seconds: i64,
    /// When the item ended. `null` if it has not.
    pub ended_at: Option<DateTime<Utc>>,
    /// Why the item ended. `null` if it has not.
    pub end_reason: Option<PackageEndReason>,
}

/// Number of package items by status.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct PackageQueueCounts {
    /// Items waiting in the queue.
    pub in_queue: i64,
    /// Items in use, at most one per user.
    pub active: i64,
    /// Items whose time or traffic ran out.
    pub consumed: i64,
    /// Cancelled items.
    pub cancelled: i64,
    /// Sum of the four statuses.
    pub total: i64,
}

impl PackageQueueCounts {
    /// Counts with their total. The sum saturates, but no table has enough rows to reach that.
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

    /// Adds two counts, status by status.
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

/// Number of package items of one series.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct PackageSeriesCounts {
    /// Id of the series.
    pub series: Uuid,
    /// Name of the master package of the series, or of its newest version.
    pub name: String,
    /// Items of all versions of the series.
    pub counts: PackageQueueCounts,
}
