//! Time ranges that callers request.

use chrono::{DateTime, Datelike, TimeDelta, Utc};

use crate::error::Error;

/// Range of accepted timestamps, worded for error messages. It is the range of
/// `google.protobuf.Timestamp`, and the database can store all of it.
pub const YEARS: &str = "of the years 1 to 9999";

/// Pattern of the timestamps that begin with one of the [`YEARS`], for the OpenAPI document.
pub const YEAR_PATTERN: &str = "^([1-9]|0[1-9]|00[1-9]|000[1-9])";

/// Returns `at` if it is in the range described by [`YEARS`], otherwise `None`.
#[must_use]
pub fn in_years(at: DateTime<Utc>) -> Option<DateTime<Utc>> {
    (1..=9_999).contains(&at.year()).then_some(at)
}

/// Maximum length of a range, in days.
pub const MAX_RANGE_DAYS: i64 = 92;
const DEFAULT_RANGE: TimeDelta = TimeDelta::hours(24);

/// The half-open range `[start, end)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeRange {
    /// Start of the range, inclusive.
    pub start: DateTime<Utc>,
    /// End of the range, exclusive.
    pub end: DateTime<Utc>,
}

impl TimeRange {
    /// The requested range. `end` defaults to `now` and `start` to 24 hours before the end.
    pub fn requested(
        start: Option<DateTime<Utc>>,
        end: Option<DateTime<Utc>>,
        now: DateTime<Utc>,
    ) -> Result<Self, Error> {
        Self::requested_within(start, end, now, MAX_RANGE_DAYS)
    }

    /// The requested range, which may be as long as `max_days`.
    pub fn requested_within(
        start: Option<DateTime<Utc>>,
        end: Option<DateTime<Utc>>,
        now: DateTime<Utc>,
        max_days: i64,
    ) -> Result<Self, Error> {
        let end = end.unwrap_or(now);
        // On the first accepted day, the default start would be before the accepted range. The
        // range is then empty and is rejected below.
        let default = || end.checked_sub_signed(DEFAULT_RANGE).and_then(in_years);
        let start = start.or_else(default).unwrap_or(end);
        if start >= end {
            return Err(Error::parameter("start", "a time before `end`"));
        }
        if end - start > TimeDelta::days(max_days) {
            return Err(Error::parameter(
                "start",
                &format!("a time at most {max_days} days before `end`"),
            ));
        }
        Ok(Self { start, end })
    }

    /// The part of the range before `now`. It is empty if the range starts at or after `now`.
    #[must_use]
    pub fn before(self, now: DateTime<Utc>) -> Self {
        Self {
            start: self.start.min(now),
            end: self.end.min(now),
        }
    }
}
