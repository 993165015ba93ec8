//! How long a server had which status.

use std::iter::Sum;
use std::ops::Add;

use chrono::{DateTime, TimeDelta, Utc};
use schemars::JsonSchema;
use serde::Serialize;

/// How long a server had which status within a range, in seconds. Time that was not recorded, or in
/// which no server could be observed, is unknown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct StatusTimes {
    /// Seconds online, without outages of the collection.
    pub online_seconds: i64,
    /// Seconds offline, without outages of the collection.
    pub offline_seconds: i64,
    /// Seconds in maintenance, including outages of the collection.
    pub maintenance_seconds: i64,
    /// Seconds of which the status is not known.
    pub unknown_seconds: i64,
}

impl StatusTimes {
    /// `online_seconds` / (`online_seconds` + `offline_seconds`), from 0 to 1. `None` if both are
    /// 0.
    #[must_use]
    #[expect(
        clippy::cast_precision_loss,
        clippy::as_conversions,
        reason = "seconds of a range of months are exact"
    )]
    pub fn availability(&self) -> Option<f64> {
        let known = self.online_seconds.checked_add(self.offline_seconds)?;
        (known > 0).then(|| self.online_seconds as f64 / known as f64)
    }
}

/// How long a server had which status within an hour.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, JsonSchema)]
pub struct StatusTimesHour {
    /// Start of the hour, UTC.
    pub hour: DateTime<Utc>,
    /// Seconds in each status, in the part of the hour that is in the range.
    #[serde(flatten)]
    pub times: StatusTimes,
    /// Online / (online + offline), from 0 to 1. `null` if both are 0.
    pub availability: Option<f64>,
}

/// The recorded time that a server had each status.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct KnownTimes {
    /// Time online, without outages of the collection.
    pub online: TimeDelta,
    /// Time offline, without outages of the collection.
    pub offline: TimeDelta,
    /// Time in maintenance, including outages of the collection.
    pub maintenance: TimeDelta,
}

impl KnownTimes {
    /// Whole seconds of a range of this length. The rest of the range is unknown.
    #[must_use]
    pub fn within(self, range: TimeDelta) -> StatusTimes {
        let seconds = |time: TimeDelta| (time + TimeDelta::milliseconds(500)).num_seconds();
        let [online, offline, maintenance] =
            [self.online, self.offline, self.maintenance].map(seconds);
        let known = online.saturating_add(offline).saturating_add(maintenance);
        StatusTimes {
            online_seconds: online,
            offline_seconds: offline,
            maintenance_seconds: maintenance,
            unknown_seconds: range.num_seconds().saturating_sub(known).max(0),
        }
    }
}

impl Add for KnownTimes {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            online: self.online + other.online,
            offline: self.offline + other.offline,
            maintenance: self.maintenance + other.maintenance,
        }
    }
}

impl Sum for KnownTimes {
    fn sum<I: Iterator<Item = Self>>(times: I) -> Self {
        times.fold(Self::default(), Add::add)
    }
}
