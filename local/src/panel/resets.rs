//! How often a panel would give users new traffic before the end of their time.

use chrono::{DateTime, Datelike, Months, TimeZone, Utc};
use chrono_tz::Tz;
use clap::ValueEnum;

/// When V2board and Xboard set the used traffic to 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Method {
    /// On the first day of each month
    MonthStart,
    /// Each month, on the day of the user's end
    Monthly,
    /// Not before the end
    Never,
    /// On the first of January
    YearStart,
    /// Each year, on the day of the user's end
    Yearly,
}

/// Most resets that are counted, which are those of a hundred years.
const MOST: u32 = 1_200;

impl Method {
    /// The method with a number of the column `reset_traffic_method`. `None` if it has none.
    #[must_use]
    pub fn numbered(number: i64) -> Option<Self> {
        Some(match number {
            0 => Self::MonthStart,
            1 => Self::Monthly,
            2 => Self::Never,
            3 => Self::YearStart,
            4 => Self::Yearly,
            _ => return None,
        })
    }
}

/// Number of resets after `now` and before `end`.
pub fn count(
    method: Method,
    now: DateTime<Utc>,
    end: DateTime<Utc>,
    time_zone: Option<Tz>,
) -> Result<i64, String> {
    let before_end = |months: u32| {
        let resets = (1..=MOST).map_while(|nth| {
            let reset = end.checked_sub_months(Months::new(nth.checked_mul(months)?))?;
            (reset > now).then_some(reset)
        });
        resets.count()
    };
    let starts = |is_start: &dyn Fn(u32) -> bool| {
        let zone = time_zone.ok_or("the resets depend on the panel's --time-zone")?;
        let now = now.with_timezone(&zone);
        let first = zone.with_ymd_and_hms(now.year(), now.month(), 1, 0, 0, 0);
        let first = first.earliest().ok_or("is out of range")?;
        let starts = (1..=MOST).map_while(|nth| {
            let start = first.checked_add_months(Months::new(nth))?;
            (start < end).then_some(start)
        });
        Ok::<_, String>(starts.filter(|start| is_start(start.month())).count())
    };
    let resets = match method {
        Method::Never => 0,
        Method::Monthly => before_end(1),
        Method::Yearly => before_end(12),
        Method::MonthStart => starts(&|_| true)?,
        Method::YearStart => starts(&|month| month == 1)?,
    };
    i64::try_from(resets).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(Method::MonthStart, "2026-04-01T00:00:00+08:00", 0)]
    #[case(Method::MonthStart, "2026-04-01T00:00:01+08:00", 1)]
    #[case(Method::MonthStart, "2027-03-10T18:30:00+08:00", 12)]
    #[case(Method::Monthly, "2026-04-09T00:00:00Z", 0)]
    #[case(Method::Monthly, "2026-05-31T00:00:00Z", 2)]
    #[case(Method::Monthly, "2027-03-10T10:30:00Z", 11)]
    #[case(Method::Monthly, "2027-03-10T10:30:01Z", 12)]
    #[case(Method::Never, "2027-03-10T10:30:00Z", 0)]
    #[case(Method::YearStart, "2027-12-31T00:00:00Z", 1)]
    #[case(Method::Yearly, "2028-03-11T00:00:00Z", 2)]
    fn resets_after_now_and_before_the_end_are_counted(
        #[case] method: Method,
        #[case] end: &str,
        #[case] expected: i64,
    ) {
        let now = "2026-03-10T10:30:00Z".parse().unwrap();
        let end: DateTime<Utc> = end.parse().unwrap();
        let zone = Some(Tz::Asia__Shanghai);
        assert_eq!(
            count(method, now, end, zone),
            Ok(expected),
            "{method:?} {end}"
        );
    }

    #[test]
    fn resets_on_days_of_the_calendar_need_the_time_zone() {
        let now = "2026-03-10T10:30:00Z".parse().unwrap();
        assert!(count(Method::MonthStart, now, now, None).is_err());
        assert_eq!(count(Method::Monthly, now, now, None), Ok(0));
    }
}
