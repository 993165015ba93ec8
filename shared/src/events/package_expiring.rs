//! `PackageExpiringEvent` (route `telecom.package_expiring`): a package item is thought to have run
//! out.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::parse;
use crate::error::Error;

/// The route's name.
pub const ROUTE: &str = "telecom.package_expiring";

/// Why an item runs out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExpiryReason {
    /// Its time is over.
    Time,
    /// Its quota is used up.
    Traffic,
}

impl ExpiryReason {
    /// As the database and the messages write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Time => "time",
            Self::Traffic => "traffic",
        }
    }
}

/// A hint, not an order: the consumer looks at the item again before it does anything.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackageExpiringEvent {
    /// Of this event.
    pub event_id: Uuid,
    /// The item.
    pub package_queue_id: i64,
    /// Its owner.
    pub user: Uuid,
    /// Why it is thought to have run out.
    pub reason: ExpiryReason,
    /// When that was seen.
    pub time: DateTime<Utc>,
}

impl PackageExpiringEvent {
    /// Reads a body.
    pub fn parse(body: &str) -> Result<Self, Error> {
        parse(body)
    }
}
