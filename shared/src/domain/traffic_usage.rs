//! Traffic of users and nodes in any range of time, as administrators request it.

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use strum::{EnumString, IntoStaticStr, VariantNames};
use uuid::Uuid;

use super::bucket::{daily_between, hourly_between};
use super::time_range::TimeRange;

/// Maximum length of a range, in days.
pub const MAX_DAYS: i64 = 400;

/// Length of a bucket.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[derive(EnumString, IntoStaticStr, VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum UsageInterval {
    /// An hour, in UTC.
    #[default]
    Hour,
    /// A calendar day of the time zone.
    Day,
}

impl UsageInterval {
    /// The boundaries of the buckets that a range touches.
    #[must_use]
    pub fn boundaries(self, range: TimeRange, zone: Tz) -> Vec<DateTime<Utc>> {
        match self {
            Self::Hour => hourly_between(range.start, range.end),
            Self::Day => daily_between(range.start, range.end, zone),
        }
    }
}

/// What the traffic of a bucket is divided by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[derive(EnumString, IntoStaticStr, VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum UsageGrouping {
    /// All traffic of a bucket together.
    #[default]
    None,
    /// Traffic of each node server.
    Server,
    /// Traffic of each node client.
    Client,
}

/// Selects traffic. Traffic must match every field that is not `None`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Filter {
    /// The user whose traffic it is.
    pub user: Option<Uuid>,
    /// The node server that carried it.
    pub server_id: Option<i32>,
    /// The node client that carried it.
    pub node_client_id: Option<i32>,
}

/// Carried and charged bytes of upload and download.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TrafficSum {
    /// Bytes that users sent, as carried.
    pub raw_upload: i64,
    /// Bytes that users received, as carried.
    pub raw_download: i64,
    /// Bytes charged for upload.
    pub billed_upload: i64,
    /// Bytes charged for download.
    pub billed_download: i64,
    /// The part of `billed_upload` that corrections added. Negative if they lowered it.
    pub corrected_upload: i64,
    /// The part of `billed_download` that corrections added. Negative if they lowered it.
    pub corrected_download: i64,
}

impl TrafficSum {
    /// The difference. `None` if a field would overflow.
    #[must_use]
    pub fn checked_sub(self, other: Self) -> Option<Self> {
        Some(Self {
            raw_upload: self.raw_upload.checked_sub(other.raw_upload)?,
            raw_download: self.raw_download.checked_sub(other.raw_download)?,
            billed_upload: self.billed_upload.checked_sub(other.billed_upload)?,
            billed_download: self.billed_download.checked_sub(other.billed_download)?,
            corrected_upload: self.corrected_upload.checked_sub(other.corrected_upload)?,
            corrected_download: self
                .corrected_download
                .checked_sub(other.corrected_download)?,
        })
    }

    /// The sum. `None` if a field would overflow.
    #[must_use]
    pub fn checked_add(self, other: Self) -> Option<Self> {
        Self::default()
            .checked_sub(other)
            .and_then(|negated| self.checked_sub(negated))
    }

    /// The sum of `parts`. `None` if a field would overflow.
    #[must_use]
    pub fn total(parts: impl IntoIterator<Item = Self>) -> Option<Self> {
        parts
            .into_iter()
            .try_fold(Self::default(), Self::checked_add)
    }
}

/// Traffic of a bucket, or of one node in a bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub struct UsageBucket {
    /// Start of the bucket, inclusive.
    pub start: DateTime<Utc>,
    /// End of the bucket, exclusive.
    pub end: DateTime<Utc>,
    /// Id of the node server. `null` if the traffic is not divided.
    pub server_id: Option<i32>,
    /// Id of the node client. `null` if the traffic is not divided by client, or the client is
    /// unknown.
    pub node_client_id: Option<i32>,
    /// Carried and charged bytes of the bucket.
    #[serde(flatten)]
    pub traffic: TrafficSum,
}
