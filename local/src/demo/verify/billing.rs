//! The expected bill, computed with integers in ten-thousandths of a byte and rounded once per
//! group.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::check::add;

/// A factor has four decimal places.
const ONE: i128 = 10_000;
const HOUR_MICROS: i64 = 3_600_000_000;

/// User, server, client, and the hour as its number since 1970-01-01.
pub(super) type HourKey = (Uuid, i32, Option<i32>, i64);
/// Bytes: raw upload, raw download, billed upload, billed download.
pub(super) type Amounts = [i128; 4];

/// Returns the hour of the last microsecond of `[start, end)`, or of `start` if the period has no
/// length.
pub(super) fn hour_of_period(start: DateTime<Utc>, end: DateTime<Utc>) -> i64 {
    start
        .timestamp_micros()
        .max(end.timestamp_micros() - 1)
        .div_euclid(HOUR_MICROS)
}

/// Returns the number of the hour that contains `at`.
pub(super) fn hour_of(at: DateTime<Utc>) -> i64 {
    at.timestamp_micros().div_euclid(HOUR_MICROS)
}

/// Formats the start of an hour.
pub(super) fn hour_text(hour: i64) -> String {
    let at = DateTime::from_timestamp_micros(hour.saturating_mul(HOUR_MICROS));
    at.map(|at| at.format("%FT%HZ").to_string())
        .unwrap_or_default()
}

/// Unrounded usage by billing run and hour.
#[derive(Debug, Default)]
pub(super) struct Billing {
    groups: HashMap<(Uuid, HourKey), Amounts>,
}

impl Billing {
    /// Adds a line that `run` has billed. `factor` is in ten-thousandths.
    pub fn add(&mut self, run: Uuid, key: HourKey, upload: i64, download: i64, factor: i64) {
        let [upload, download, factor] = [upload, download, factor].map(i128::from);
        let line = [upload, download, upload * factor, download * factor];
        add(self.groups.entry((run, key)).or_default(), line);
    }

    /// Expected amounts of each hour. The share of each run is rounded separately.
    pub fn hours(&self) -> HashMap<HourKey, Amounts> {
        let mut hours: HashMap<HourKey, Amounts> = HashMap::new();
        for ((_, key), &[raw_upload, raw_download, upload, download]) in &self.groups {
            add(
                hours.entry(*key).or_default(),
                [raw_upload, raw_download, round(upload), round(download)],
            );
        }
        hours
    }
}

/// Rounds half up. Amounts are not negative.
fn round(ten_thousandths: i128) -> i128 {
    (ten_thousandths + ONE / 2).div_euclid(ONE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_are_rounded_up_once_per_run_and_not_per_line() {
        let key = (Uuid::nil(), 1, None, 0);
        let mut billing = Billing::default();
        for run in [1, 1, 2] {
            billing.add(Uuid::from_u128(run), key, 1, 3, 5_000);
        }
        // Upload: run 1 has 2 × 0.5 = 1, run 2 has 0.5 → 1. Download: 3, and 1.5 → 2.
        assert_eq!(billing.hours()[&key], [3, 9, 2, 5]);
    }

    #[test]
    fn an_end_on_the_hour_is_exclusive_unless_the_period_has_no_length() {
        let on_the_hour = DateTime::from_timestamp(7_200, 0).unwrap();
        let before = DateTime::from_timestamp(7_100, 0).unwrap();
        assert_eq!(
            [
                hour_of_period(before, on_the_hour),
                hour_of_period(on_the_hour, on_the_hour)
            ],
            [1, 2]
        );
    }
}
