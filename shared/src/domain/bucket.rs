//! Time buckets. Consecutive half-open buckets are represented by their boundaries. There is one
//! more boundary than there are buckets.

use chrono::{DateTime, Days, LocalResult, NaiveDate, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;

/// The `hours + 1` boundaries of the last `hours` hours, including the current, partial hour.
///
/// Usage is stored per UTC hour, so these are UTC hours in every time zone.
#[must_use]
pub fn hourly_boundaries(now: DateTime<Utc>, hours: u16) -> Vec<DateTime<Utc>> {
    let current = hour_of(now);
    (0..=hours)
        .rev()
        .map(|back| current + TimeDelta::hours(1) - TimeDelta::hours(i64::from(back)))
        .collect()
}

/// Start of the UTC hour that contains `at`.
#[must_use]
pub fn hour_of(at: DateTime<Utc>) -> DateTime<Utc> {
    // `duration_trunc` fails for times that a 64-bit number of nanoseconds cannot express.
    let nanoseconds = i64::from(at.timestamp_subsec_nanos());
    let seconds = TimeDelta::seconds(at.timestamp().rem_euclid(3_600));
    at - seconds - TimeDelta::nanoseconds(nanoseconds)
}

/// The `days + 1` boundaries of the last `days` calendar days in `zone`, including today, which is
/// partial. A day on which the clocks change usually has 23 or 25 hours.
#[must_use]
pub fn daily_boundaries(now: DateTime<Utc>, days: u16, zone: Tz) -> Vec<DateTime<Utc>> {
    let tomorrow = now.with_timezone(&zone).date_naive() + Days::new(1);
    (0..=days)
        .rev()
        .map(|back| start_of_day(tomorrow - Days::new(u64::from(back)), zone))
        .collect()
}

/// The boundaries of the UTC hours that contain the instants from `start` to before `end`.
#[must_use]
pub fn hourly_between(start: DateTime<Utc>, end: DateTime<Utc>) -> Vec<DateTime<Utc>> {
    let next = |at: &DateTime<Utc>| Some(*at + TimeDelta::hours(1));
    until(end, std::iter::successors(Some(hour_of(start)), next))
}

/// The boundaries of the calendar days in `zone` that contain the instants from `start` to before
/// `end`.
#[must_use]
pub fn daily_between(start: DateTime<Utc>, end: DateTime<Utc>, zone: Tz) -> Vec<DateTime<Utc>> {
    let first = start.with_timezone(&zone).date_naive();
    let days = std::iter::successors(Some(first), NaiveDate::succ_opt);
    until(end, days.map(|day| start_of_day(day, zone)))
}

/// The boundaries up to the first one that is not before `end`.
fn until(
    end: DateTime<Utc>,
    boundaries: impl Iterator<Item = DateTime<Utc>>,
) -> Vec<DateTime<Utc>> {
    let mut ended = false;
    boundaries
        .take_while(|boundary| !std::mem::replace(&mut ended, *boundary >= end))
        .collect()
}

/// The first instant of a day. If the clocks skip midnight, the day begins right after the change.
/// If midnight occurs twice, the day begins at the first occurrence.
fn start_of_day(day: NaiveDate, zone: Tz) -> DateTime<Utc> {
    (0..=24 * 4)
        .filter_map(|quarter| {
            day.and_hms_opt(0, 0, 0)?
                .checked_add_signed(TimeDelta::minutes(15 * quarter))
        })
        .find_map(|local| match zone.from_local_datetime(&local) {
            LocalResult::Single(at) | LocalResult::Ambiguous(at, _) => Some(at.to_utc()),
            LocalResult::None => None,
        })
        .unwrap_or_else(|| day.and_time(chrono::NaiveTime::MIN).and_utc())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn hours_begin_on_the_hour_in_every_accepted_year() {
        for year in ["0001", "1969", "2026", "9999"] {
            let parse = |time: &str| format!("{year}-01-02T{time}Z").parse().unwrap();
            assert_eq!(hour_of(parse("05:06:07.5")), parse("05:00:00"), "{year}");
        }
    }

    #[test]
    fn the_last_hour_is_the_current_partial_one() {
        let edges = hourly_boundaries(at("2026-03-01T10:59:59.999999Z"), 24);
        assert_eq!(
            (edges.len(), edges[0], edges[24]),
            (25, at("2026-02-28T11:00:00Z"), at("2026-03-01T11:00:00Z"))
        );
    }

    #[test]
    fn an_hour_begins_at_its_first_instant() {
        assert_eq!(
            hourly_boundaries(at("2026-03-01T11:00:00Z"), 24)[24],
            at("2026-03-01T12:00:00Z")
        );
    }

    #[test]
    fn days_follow_the_time_zone_across_a_clock_change() {
        let edges = daily_boundaries(at("2026-03-30T12:00:00Z"), 7, Tz::Europe__Berlin);
        let hours: Vec<i64> = edges
            .windows(2)
            .map(|edge| (edge[1] - edge[0]).num_hours())
            .collect();
        assert_eq!(hours, [24, 24, 24, 24, 24, 23, 24]);
        assert_eq!(edges[6], at("2026-03-29T22:00:00Z"));
    }

    #[test]
    fn a_day_without_midnight_begins_after_the_clock_change() {
        // Santiago skips 2026-09-06 00:00 to 01:00.
        let edges = daily_boundaries(at("2026-09-06T15:00:00Z"), 1, Tz::America__Santiago);
        assert_eq!(
            edges,
            [at("2026-09-06T04:00:00Z"), at("2026-09-07T03:00:00Z")]
        );
    }

    #[test]
    fn a_range_of_hours_or_days_covers_the_buckets_in_which_it_begins_and_ends() {
        let (start, end) = (at("2026-03-28T23:30:00Z"), at("2026-03-29T01:00:00Z"));
        assert_eq!(
            hourly_between(start, end),
            [
                "2026-03-28T23:00:00Z",
                "2026-03-29T00:00:00Z",
                "2026-03-29T01:00:00Z"
            ]
            .map(at)
        );
        assert_eq!(
            daily_between(start, end, Tz::Europe__Berlin),
            ["2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z"].map(at)
        );
        assert_eq!(
            daily_between(start, end, Tz::UTC),
            [
                "2026-03-28T00:00:00Z",
                "2026-03-29T00:00:00Z",
                "2026-03-30T00:00:00Z"
            ]
            .map(at)
        );
    }

    #[test]
    fn a_month_crosses_the_end_of_february() {
        let edges = daily_boundaries(at("2026-03-02T00:00:00Z"), 30, Tz::UTC);
        assert_eq!(
            (edges.len(), edges[0], edges[30]),
            (31, at("2026-02-01T00:00:00Z"), at("2026-03-03T00:00:00Z"))
        );
    }
}
