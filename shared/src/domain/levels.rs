//! Levels at which notices about an active item are published.

use std::ops::RangeInclusive;

/// Different whole numbers in ascending order, at most [`MAX_LEVELS`]. May be empty.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Levels(
    /// Levels are positive, so the unused places at the end hold 0.
    [i16; MAX_LEVELS],
);

/// Maximum number of levels of one kind.
pub const MAX_LEVELS: usize = 10;
/// Accepted percentages of a quota.
pub const QUOTA_PERCENT: RangeInclusive<i16> = 1..=99;
/// Accepted hours before the end of an item: up to a year.
pub const EXPIRY_HOURS: RangeInclusive<i16> = 1..=8_760;

impl Levels {
    /// No level. No notice is published.
    pub const NONE: Self = Self([0; MAX_LEVELS]);
    /// The default percentages of a quota.
    pub const DEFAULT_QUOTA_PERCENT: Self = Self([50, 80, 95, 0, 0, 0, 0, 0, 0, 0]);
    /// The default hours before the end of an item.
    pub const DEFAULT_EXPIRY_HOURS: Self = Self([24, 72, 0, 0, 0, 0, 0, 0, 0, 0]);

    /// `None` if there are too many `levels`, if one is not in `accepted`, or if they are not in
    /// ascending order, each once. `accepted` must begin above 0.
    #[must_use]
    pub fn new(levels: &[i16], accepted: &RangeInclusive<i16>) -> Option<Self> {
        let ascending = levels.is_sorted_by(|level, next| level < next);
        let valid = levels.len() <= MAX_LEVELS
            && ascending
            && levels.iter().all(|level| accepted.contains(level));
        let mut places = [0; MAX_LEVELS];
        for (place, level) in places.iter_mut().zip(levels) {
            *place = *level;
        }
        valid.then_some(Self(places))
    }

    /// The levels in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = i16> {
        self.0.into_iter().take_while(|level| *level > 0)
    }

    /// Whether there is no level.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::NONE
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[test]
    fn the_default_levels_are_accepted() {
        let percent = Levels::new(&[50, 80, 95], &QUOTA_PERCENT);
        assert_eq!(percent, Some(Levels::DEFAULT_QUOTA_PERCENT));
        let hours = Levels::new(&[24, 72], &EXPIRY_HOURS);
        assert_eq!(hours, Some(Levels::DEFAULT_EXPIRY_HOURS));
    }

    #[rstest]
    #[case::none(&[])]
    #[case::the_bounds(&[1, 99])]
    #[case::ten(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 10])]
    fn ascending_levels_in_the_range_are_kept(#[case] levels: &[i16]) {
        let accepted = Levels::new(levels, &QUOTA_PERCENT).unwrap();
        assert_eq!(accepted.iter().collect::<Vec<_>>(), levels);
        assert_eq!(accepted.is_empty(), levels.is_empty());
    }

    #[rstest]
    #[case::zero(&[0])]
    #[case::all_of_the_quota(&[50, 100])]
    #[case::negative(&[-5, 50])]
    #[case::twice_the_same(&[50, 50])]
    #[case::descending(&[80, 50])]
    #[case::eleven(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11])]
    fn other_levels_are_none(#[case] levels: &[i16]) {
        assert_eq!(Levels::new(levels, &QUOTA_PERCENT), None);
    }
}
