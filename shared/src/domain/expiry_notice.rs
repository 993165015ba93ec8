//! When it is announced that the time of an active item ends soon.

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use super::levels::Levels;

/// An active item whose notices are due for a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EndingItem {
    /// Id of the item.
    pub id: i64,
    /// Id of the item's owner.
    pub user_id: Uuid,
    /// When the item became active.
    pub activated_at: DateTime<Utc>,
    /// When the time of the item ends.
    pub expires_at: DateTime<Utc>,
    /// The last level that was published for this end or for a later one, in hours. `None` if there
    /// is no such level, or if the end moved later after it was published.
    pub noticed_hours: Option<i16>,
}

/// Result of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Notice {
    /// The level to publish now, in hours. `None` if nothing is to be published.
    pub hours: Option<i16>,
    /// When the next level is reached. `None` if no level is left.
    pub next_at: Option<DateTime<Utc>>,
}

impl EndingItem {
    /// Checks the item against `levels`, in hours before its end.
    ///
    /// A level applies if it is shorter than the whole time of the item, so that no item is
    /// announced as ending soon when it begins. Of several levels that are reached, only the
    /// nearest to the end is published. A level is published if no level of the same or fewer hours
    /// was published for this end.
    #[must_use]
    pub fn notice(&self, levels: &Levels, now: DateTime<Utc>) -> Notice {
        let left = self.expires_at - now;
        let whole = self.expires_at - self.activated_at;
        let applying = || levels.iter().filter(|hours| length(*hours) < whole);
        let reached = applying().find(|hours| left <= length(*hours));
        let is_new = |hours: &i16| self.noticed_hours.is_none_or(|noticed| *hours < noticed);
        let next = applying().filter(|hours| length(*hours) < left).last();
        Notice {
            hours: reached.filter(|hours| left > TimeDelta::zero() && is_new(hours)),
            next_at: next.map(|hours| self.expires_at - length(hours)),
        }
    }
}

fn length(hours: i16) -> TimeDelta {
    TimeDelta::hours(hours.into())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    /// An instant, in hours and seconds after the activation.
    fn at(hours: i64, seconds: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::hours(hours) + TimeDelta::seconds(seconds)
    }

    /// An item of `hours` in total, whose level `noticed_hours` was published.
    fn item(hours: i64, noticed_hours: Option<i16>) -> EndingItem {
        EndingItem {
            id: 1,
            user_id: Uuid::nil(),
            activated_at: at(0, 0),
            expires_at: at(hours, 0),
            noticed_hours,
        }
    }

    #[rstest]
    #[case::new(item(720, None), at(0, 0), None, Some(at(648, 0)))]
    #[case::before_a_level(item(720, None), at(648, -1), None, Some(at(648, 0)))]
    #[case::at_a_level(item(720, None), at(648, 0), Some(72), Some(at(696, 0)))]
    #[case::published(item(720, Some(72)), at(648, 1), None, Some(at(696, 0)))]
    #[case::at_the_next_level(item(720, Some(72)), at(696, 0), Some(24), None)]
    #[case::two_levels_at_once(item(720, None), at(719, 0), Some(24), None)]
    #[case::all_published(item(720, Some(24)), at(719, 0), None, None)]
    #[case::a_lower_level_was_published(item(720, Some(12)), at(719, 0), None, None)]
    #[case::over(item(720, None), at(720, 0), None, None)]
    #[case::as_long_as_a_level(item(72, None), at(0, 0), None, Some(at(48, 0)))]
    #[case::shorter_than_all_levels(item(24, None), at(0, 1), None, None)]
    #[case::little_longer_than_a_level(item(25, None), at(0, 0), None, Some(at(1, 0)))]
    fn levels_of_24_and_72_hours_are_published_when_they_are_reached(
        #[case] item: EndingItem,
        #[case] now: DateTime<Utc>,
        #[case] hours: Option<i16>,
        #[case] next_at: Option<DateTime<Utc>>,
    ) {
        let notice = item.notice(&Levels::DEFAULT_EXPIRY_HOURS, now);
        assert_eq!(notice, Notice { hours, next_at });
    }

    #[test]
    fn without_levels_nothing_is_published() {
        let notice = item(720, None).notice(&Levels::NONE, at(719, 0));
        assert_eq!((notice.hours, notice.next_at), (None, None));
    }
}
