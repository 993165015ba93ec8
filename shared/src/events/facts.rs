//! Facts for other systems, on the event bus with source `telecom`.

use chrono::{DateTime, Utc};
use serde::Serialize;
use uuid::Uuid;

use super::package_expiring::ExpiryReason;
use crate::domain::drift::{Drift, DriftKey, DriftKind};
use crate::domain::node::NodeServerStatus;
use crate::domain::server_status::StatusChange;
use crate::domain::traffic::Traffic;

/// The bus entries' `source`.
pub const SOURCE: &str = "telecom";
/// The version of every detail below.
pub const VERSION: u32 = 1;

/// Something that happened.
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
    /// A server is silent, or was taken back into service while it was.
    NodeServerWentOffline {
        /// The server.
        node_server_id: i32,
        /// Its name.
        name: String,
        /// What it was before.
        from: NodeServerStatus,
        /// The last sign of life.
        since: DateTime<Utc>,
    },
    /// A server is heard again, or was taken back into service while it was.
    NodeServerCameOnline {
        /// The server.
        node_server_id: i32,
        /// Its name.
        name: String,
        /// What it was before.
        from: NodeServerStatus,
        /// The sign of life that says so.
        since: DateTime<Utc>,
    },
    /// No server at all is heard: the collection is broken, and nothing is known of the servers.
    CollectionStopped {
        /// The last sign of life of any server.
        since: DateTime<Utc>,
    },
    /// Servers are heard again.
    CollectionResumed {
        /// As in the fact that it had stopped.
        since: DateTime<Utc>,
    },
    /// Numbers that must agree do not, or differ by another amount than before.
    UsageDrifted {
        /// Which numbers.
        kind: DriftKind,
        /// Of which hour, item or billing run.
        #[serde(flatten)]
        key: DriftKey,
        /// What is recorded or charged minus what should be.
        #[serde(flatten)]
        difference: DriftBytes,
    },
}

impl Fact {
    /// What is said of a change of a server's status; nothing of one that an administrator took out
    /// of service.
    #[must_use]
    pub fn of_status_change(change: &StatusChange) -> Option<Self> {
        let (node_server_id, name, from, since) = (
            change.node_server_id,
            change.name.clone(),
            change.from,
            change.since,
        );
        match change.to {
            NodeServerStatus::Online => Some(Self::NodeServerCameOnline {
                node_server_id,
                name,
                from,
                since,
            }),
            NodeServerStatus::Offline => Some(Self::NodeServerWentOffline {
                node_server_id,
                name,
                from,
                since,
            }),
            NodeServerStatus::Maintenance => None,
        }
    }

    /// What is published of a drift.
    #[must_use]
    pub fn of_drift(drift: &Drift) -> Self {
        let Traffic {
            raw_upload,
            raw_download,
            billed_upload,
            billed_download,
        } = drift.difference;
        let difference = DriftBytes {
            raw_upload_bytes: raw_upload,
            raw_download_bytes: raw_download,
            billed_upload_bytes: billed_upload,
            billed_download_bytes: billed_download,
        };
        Self::UsageDrifted {
            kind: drift.kind,
            key: drift.key,
            difference,
        }
    }

    /// The bus entry's `detail-type`.
    #[must_use]
    pub fn detail_type(&self) -> &'static str {
        match self {
            Self::PackageActivated { .. } => "PackageActivated",
            Self::PackageExpired { .. } => "PackageExpired",
            Self::PackageQueueEmptied { .. } => "PackageQueueEmptied",
            Self::QuotaThresholdReached { .. } => "QuotaThresholdReached",
            Self::NodeServerWentOffline { .. } => "NodeServerWentOffline",
            Self::NodeServerCameOnline { .. } => "NodeServerCameOnline",
            Self::CollectionStopped { .. } => "CollectionStopped",
            Self::CollectionResumed { .. } => "CollectionResumed",
            Self::UsageDrifted { .. } => "UsageDrifted",
        }
    }
}

/// How much numbers differ by, each of which may be negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct DriftBytes {
    /// Bytes sent by users.
    pub raw_upload_bytes: i64,
    /// Bytes received by users.
    pub raw_download_bytes: i64,
    /// Bytes charged for upload.
    pub billed_upload_bytes: i64,
    /// Bytes charged for download.
    pub billed_download_bytes: i64,
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
