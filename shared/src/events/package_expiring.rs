//! `PackageExpiringEvent` (route `telecom.package_expiring`): a package item has probably run out.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::parse;
use crate::error::Error;

/// Name of the route.
pub const ROUTE: &str = "telecom.package_expiring";

/// Reason why an item runs out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExpiryReason {
    /// The time of the package is over.
    Time,
    /// The quota of the item is used up.
    Traffic,
}

/// A hint. The consumer checks the state of the item before it acts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackageExpiringEvent {
    /// Id of this event.
    pub event_id: Uuid,
    /// Id of the package item.
    pub package_queue_id: i64,
    /// Id of the owner.
    pub user: Uuid,
    /// The limit that the item probably reached.
    pub reason: ExpiryReason,
    /// Time of this observation.
    pub time: DateTime<Utc>,
}

impl PackageExpiringEvent {
    /// Parses a message body. The error names the invalid field.
    pub fn parse(body: &str) -> Result<Self, Error> {
        parse(body)
    }
}
