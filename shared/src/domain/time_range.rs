//! Ranges of time that a caller asks about.

use chrono::{DateTime, Datelike, TimeDelta, Utc};

use crate::error::Error;

/// The moments that a caller may name, as the end of a sentence begins: those of
/// `google.protobuf.Timestamp`, which the database knows all of.
pub const YEARS: &str = "of the years 1 to 9999";

/// A moment that a caller may name; none: it is before or after [`YEARS`].
#[must_use]
pub fn in_years(at: DateTime<Utc>) -> Option<DateTime<Utc>> {
    (1..=9_999).contains(&at.year()).then_some(at)
}

/// The longest range.
pub const MAX_RANGE_DAYS: i64 = 92;
const DEFAULT_RANGE: TimeDelta = TimeDelta::hours(24);

/// Half-open: `[start, end)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeRange {
    /// Inclusive.
    pub start: DateTime<Utc>,
    /// Exclusive.
    pub end: DateTime<Utc>,
}

impl TimeRange {
    /// What is asked for; without an end until `now`, without a start 24 hours.
    pub fn asked(
        start: Option<DateTime<Utc>>,
        end: Option<DateTime<Utc>>,
        now: DateTime<Utc>,
    ) -> Result<Self, Error> {
        let end = end.unwrap_or(now);
        // Of the first day that can be named no day before can be.
        let default = || end.checked_sub_signed(DEFAULT_RANGE).and_then(in_years);
        let start = start.or_else(default).unwrap_or(end);
        if start >= end {
            return Err(Error::parameter("start", "a time before `end`"));
        }
        if end - start > TimeDelta::days(MAX_RANGE_DAYS) {
            return Err(Error::parameter(
                "start",
                &format!("a time at most {MAX_RANGE_DAYS} days before `end`"),
            ));
        }
        Ok(Self { start, end })
    }

    /// The part of it that is over; nothing of it is an empty range.
    #[must_use]
    pub fn past(self, now: DateTime<Utc>) -> Self {
        Self {
            start: self.start.min(now),
            end: self.end.min(now),
        }
    }
}
