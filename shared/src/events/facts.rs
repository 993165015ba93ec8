//! Facts for other systems, on the event bus with source `telecom`.

use chrono::{DateTime, Utc};
use serde::Serialize;
use uuid::Uuid;

use super::package_expiring::ExpiryReason;

/// The bus entries' `source`.
pub const SOURCE: &str = "telecom";
/// The version of every detail below.
pub const VERSION: u32 = 1;

/// Something that happened to a user's packages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Fact {
    /// An item became the user's active package.
    PackageActivated {
        /// Owner.
        user: Uuid,
        /// The item.
        package_queue_id: i64,
        /// When its time ends.
        expires_at: DateTime<Utc>,
    },
    /// An item was consumed.
    PackageExpired {
        /// Owner.
        user: Uuid,
        /// The item.
        package_queue_id: i64,
        /// Which limit it met.
        reason: ExpiryReason,
    },
    /// An item was consumed and none is left to follow it.
    PackageQueueEmptied {
        /// Owner.
        user: Uuid,
    },
    /// An item's usage passed a share of its quota; once each for 50, 80 and 95.
    QuotaThresholdReached {
        /// Owner.
        user: Uuid,
        /// The item.
        package_queue_id: i64,
        /// The threshold passed, percent; each one is a fact of its own.
        percent: i16,
        /// Bytes billed so far.
        used_bytes: i64,
        /// Bytes allowed.
        quota_bytes: i64,
    },
}

impl Fact {
    /// The bus entry's `detail-type`.
    #[must_use]
    pub fn detail_type(&self) -> &'static str {
        match self {
            Self::PackageActivated { .. } => "PackageActivated",
            Self::PackageExpired { .. } => "PackageExpired",
            Self::PackageQueueEmptied { .. } => "PackageQueueEmptied",
            Self::QuotaThresholdReached { .. } => "QuotaThresholdReached",
        }
    }
}

/// A bus entry's `detail`: the fact, its id (a repeat has the same), the version and the time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FactDetail<'a> {
    /// Of this fact.
    pub event_id: Uuid,
    /// [`VERSION`].
    pub version: u32,
    /// When it happened.
    pub time: DateTime<Utc>,
    /// What happened.
    #[serde(flatten)]
    pub fact: &'a Fact,
}
