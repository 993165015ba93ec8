//! Ranges of time that end now, and the time zone of their days.

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use schemars::JsonSchema;
use serde::{Serialize, Serializer};
use strum::{EnumIter, EnumString, IntoStaticStr, VariantNames};

use super::bucket::{daily_boundaries, hourly_boundaries};
use crate::error::Error;

/// The period before now that is returned.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[derive(EnumIter, EnumString, IntoStaticStr, VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum RecentRange {
    /// The last 24 hours, in buckets of an hour.
    #[default]
    Day,
    /// The last 7 days, in buckets of a day.
    Week,
    /// The last 30 days, in buckets of a day.
    Month,
}

impl RecentRange {
    /// The boundaries of the buckets of the range, the last of which contains `now`.
    #[must_use]
    pub fn boundaries(self, now: DateTime<Utc>, zone: Tz) -> Vec<DateTime<Utc>> {
        match self {
            Self::Day => hourly_boundaries(now, 24),
            Self::Week => daily_boundaries(now, 7, zone),
            Self::Month => daily_boundaries(now, 30, zone),
        }
    }

    /// Start and end of the range, with UTC days.
    #[must_use]
    pub fn period(self, now: DateTime<Utc>) -> (DateTime<Utc>, DateTime<Utc>) {
        ends(&self.boundaries(now, Tz::UTC), now)
    }
}

/// The period before now that is added up as a whole. Its days are UTC days, including today.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[derive(EnumString, IntoStaticStr, VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum LongRange {
    /// The last 24 hours.
    #[default]
    Day,
    /// The last 7 days.
    Week,
    /// The last 30 days.
    Month,
    /// The last 90 days.
    Quarter,
    /// The last 365 days.
    Year,
}

impl LongRange {
    /// Start and end of the range.
    #[must_use]
    pub fn period(self, now: DateTime<Utc>) -> (DateTime<Utc>, DateTime<Utc>) {
        let boundaries = match self {
            Self::Day => hourly_boundaries(now, 24),
            Self::Week => daily_boundaries(now, 7, Tz::UTC),
            Self::Month => daily_boundaries(now, 30, Tz::UTC),
            Self::Quarter => daily_boundaries(now, 90, Tz::UTC),
            Self::Year => daily_boundaries(now, 365, Tz::UTC),
        };
        ends(&boundaries, now)
    }
}

/// The first and the last of the boundaries.
fn ends(boundaries: &[DateTime<Utc>], now: DateTime<Utc>) -> (DateTime<Utc>, DateTime<Utc>) {
    let edge = |boundary: Option<&DateTime<Utc>>| boundary.copied().unwrap_or(now);
    (edge(boundaries.first()), edge(boundaries.last()))
}

/// Parses the IANA name of a time zone.
pub fn time_zone(name: &str) -> Result<Tz, Error> {
    name.parse()
        .map_err(|_| Error::parameter("time_zone", "an IANA name such as Europe/Berlin, or UTC"))
}

/// Serializes a time zone as its IANA name.
pub fn zone_name<S: Serializer>(zone: &Tz, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(zone.name())
}
