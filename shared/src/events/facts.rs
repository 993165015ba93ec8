//! Facts that are published to other systems, on the event bus with the source `telecom`.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use strum::{EnumDiscriminants, EnumString, IntoStaticStr, VariantNames};
use uuid::Uuid;

use super::package_expiring::ExpiryReason;
use crate::domain::drift::Drift;
use crate::domain::node::NodeServerStatus;
use crate::domain::server_status::StatusChange;

/// The `source` of the event bus entries.
pub const SOURCE: &str = "telecom";
/// Version of the format of all facts.
pub const VERSION: u32 = 1;

/// Something that happened in this system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, IntoStaticStr, EnumDiscriminants)]
#[serde(untagged)]
#[strum_discriminants(
    name(FactType),
    doc = "The type of a fact, which is the `detail-type` of its entry.",
    derive(EnumString, IntoStaticStr, VariantNames, Deserialize, JsonSchema)
)]
pub enum Fact {
    /// An order was delivered: its items entered the user's queue.
    PackageDelivered {
        /// Id of the owner.
        user: Uuid,
        /// Id of the order.
        order_id: Uuid,
        /// Id of the package.
        package_id: i64,
        /// Ids of the package items.
        package_queue_ids: Vec<i64>,
    },
    /// A package item was cancelled.
    PackageCancelled {
        /// Id of the owner.
        user: Uuid,
        /// Id of the package item.
        package_queue_id: i64,
    },
    /// The quota of an item was adjusted.
    QuotaAdjusted {
        /// Id of the owner.
        user: Uuid,
        /// Id of the package item.
        package_queue_id: i64,
        /// Sum of all adjustments of the item, in bytes. It may be negative.
        adjust_quota_bytes: i64,
        /// Quota of the item in bytes, including its adjustments. `null` if unlimited.
        quota_bytes: Option<i64>,
    },
    /// A package item became the user's active package.
    PackageActivated {
        /// Id of the owner.
        user: Uuid,
        /// Id of the package item.
        package_queue_id: i64,
        /// When the time of the item ends.
        expires_at: DateTime<Utc>,
    },
    /// A package item was consumed.
    PackageExpired {
        /// Id of the owner.
        user: Uuid,
        /// Id of the package item.
        package_queue_id: i64,
        /// The limit that the item reached.
        reason: ExpiryReason,
    },
    /// A package item was consumed and no item is waiting to replace it.
    PackageQueueEmptied {
        /// Id of the owner.
        user: Uuid,
    },
    /// The time of an active item ends soon. Published once per item, level and end.
    PackageExpiringSoon {
        /// Id of the owner.
        user: Uuid,
        /// Id of the package item.
        package_queue_id: i64,
        /// The level that was reached, in hours before the end.
        hours: i16,
        /// When the time of the item ends.
        expires_at: DateTime<Utc>,
    },
    /// The usage of an item reached one of the configured percentages of its quota. Published once
    /// per threshold, and again if it is reached again after the quota was raised.
    QuotaThresholdReached {
        /// Id of the owner.
        user: Uuid,
        /// Id of the package item.
        package_queue_id: i64,
        /// The threshold that was reached, in percent.
        percent: i16,
        /// Bytes charged so far.
        used_bytes: i64,
        /// Quota of the item in bytes, including its adjustment.
        quota_bytes: i64,
    },
    /// A server stopped reporting, or its maintenance ended while it was not reporting.
    NodeServerWentOffline(StatusChange),
    /// A server reports again, or its maintenance ended while it was reporting.
    NodeServerCameOnline(StatusChange),
    /// No server reports at all: the collection of reports is broken, and the status of the servers
    /// is unknown.
    CollectionStopped {
        /// Time of the last heartbeat of any server.
        since: DateTime<Utc>,
    },
    /// Reports arrive again after the collection had stopped.
    CollectionResumed {
        /// The same value as in the preceding `CollectionStopped`.
        since: DateTime<Utc>,
    },
    /// Sums that must be equal differ, or differ by another amount than before.
    UsageDrifted(Drift),
}

impl Fact {
    /// The fact about a change of a server's status. `None` if an administrator started
    /// maintenance.
    #[must_use]
    pub fn of_status_change(change: &StatusChange) -> Option<Self> {
        match change.to {
            NodeServerStatus::Online => Some(Self::NodeServerCameOnline(change.clone())),
            NodeServerStatus::Offline => Some(Self::NodeServerWentOffline(change.clone())),
            NodeServerStatus::Maintenance => None,
        }
    }

    /// The `detail-type` of the event bus entry.
    #[must_use]
    pub fn detail_type(&self) -> &'static str {
        self.into()
    }
}

/// The `detail` of an event bus entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FactDetail<'a> {
    /// Id of the fact. A repeated entry has the same id.
    pub event_id: Uuid,
    /// Version of the format, [`VERSION`].
    pub version: u32,
    /// Time at which it happened.
    pub time: DateTime<Utc>,
    /// The fact, serialized as fields beside the others.
    #[serde(flatten)]
    pub fact: &'a Fact,
}
