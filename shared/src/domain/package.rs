//! Rules of package items.

use chrono::{DateTime, Utc};
use uuid::Uuid;

/// Shares of a quota, in percent, that are announced as they are passed.
pub const QUOTA_THRESHOLDS: [i16; 3] = [50, 80, 95];

/// The most that one counter of an item can hold, in bytes (2 EiB): the sum of two still fits an
/// `i64`. As the constraint `package_queue_counters_range_check` has it.
pub const MAX_COUNTER_BYTES: i64 = 1 << 61;

/// Billed bytes that a user's active item is to carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Charge {
    /// Who.
    pub user_id: Uuid,
    /// Bytes.
    pub upload_bytes: i64,
    /// Bytes.
    pub download_bytes: i64,
}

/// A user's active item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ActiveItem {
    /// The item.
    pub id: i64,
    /// Its owner.
    pub user_id: Uuid,
    /// Billed so far, bytes.
    pub upload_bytes: i64,
    /// Billed so far, bytes.
    pub download_bytes: i64,
    /// `traffic_limit + adjust_quota`, bytes; may be negative. `None` if the package is unlimited.
    pub quota_bytes: Option<i64>,
    /// The highest threshold announced, percent.
    pub announced_percent: i16,
    /// When it was last announced as expiring.
    pub expiring_event_at: Option<DateTime<Utc>>,
}

/// What a charge brought about.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Charged {
    /// Thresholds passed, percent, ascending.
    pub thresholds: Vec<i16>,
    /// Upload and download billed so far, bytes.
    pub used_bytes: i64,
    /// It is exhausted, and is marked as expiring by this charge.
    pub expiring: bool,
}

impl ActiveItem {
    /// Adds a charge. An item that is exhausted is marked as expiring `now`, unless it is already.
    /// `None` if a counter would exceed [`MAX_COUNTER_BYTES`].
    pub fn charge(&mut self, charge: &Charge, now: DateTime<Utc>) -> Option<Charged> {
        let add = |counter: i64, bytes| {
            counter
                .checked_add(bytes)
                .filter(|sum| *sum <= MAX_COUNTER_BYTES)
        };
        self.upload_bytes = add(self.upload_bytes, charge.upload_bytes)?;
        self.download_bytes = add(self.download_bytes, charge.download_bytes)?;
        let used_bytes = self.upload_bytes.checked_add(self.download_bytes)?;
        let Some(quota_bytes) = self.quota_bytes else {
            return Some(Charged {
                used_bytes,
                ..Charged::default()
            });
        };
        let announced = self.announced_percent;
        let passed = |percent: &i16| {
            announced < *percent
                && i128::from(used_bytes) * 100 >= i128::from(quota_bytes) * i128::from(*percent)
        };
        let thresholds: Vec<i16> = QUOTA_THRESHOLDS.into_iter().filter(passed).collect();
        self.announced_percent = thresholds.last().copied().unwrap_or(announced);
        let expiring = used_bytes >= quota_bytes && self.expiring_event_at.is_none();
        if expiring {
            self.expiring_event_at = Some(now);
        }
        Some(Charged {
            thresholds,
            used_bytes,
            expiring,
        })
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn item(used: i64, quota: i64, announced_percent: i16) -> ActiveItem {
        ActiveItem {
            id: 1,
            user_id: Uuid::nil(),
            upload_bytes: used,
            download_bytes: 0,
            quota_bytes: Some(quota),
            announced_percent,
            expiring_event_at: None,
        }
    }

    fn charge(item: &mut ActiveItem, bytes: i64) -> Option<Charged> {
        let charge = Charge {
            user_id: Uuid::nil(),
            upload_bytes: 0,
            download_bytes: bytes,
        };
        item.charge(&charge, DateTime::UNIX_EPOCH)
    }

    #[rstest]
    #[case(item(0, 1_000, 0), 499, &[], false)]
    #[case(item(0, 1_000, 0), 500, &[50], false)]
    #[case(item(0, 1_000, 0), 950, &[50, 80, 95], false)]
    #[case(item(500, 1_000, 50), 499, &[80, 95], false)]
    #[case(item(950, 1_000, 95), 50, &[], true)]
    #[case(item(0, MAX_COUNTER_BYTES, 0), MAX_COUNTER_BYTES, &[50, 80, 95], true)]
    #[case::unlimited(ActiveItem { quota_bytes: None, ..item(0, 0, 0) }, MAX_COUNTER_BYTES, &[],
        false)]
    #[case::no_quota_at_all(item(0, -5, 0), 0, &[50, 80, 95], true)]
    fn each_threshold_is_passed_once_and_the_quota_is_met_by_its_last_byte(
        #[case] mut item: ActiveItem,
        #[case] bytes: i64,
        #[case] thresholds: &[i16],
        #[case] expiring: bool,
    ) {
        let charged = charge(&mut item, bytes).unwrap();
        assert_eq!(
            (charged.thresholds.as_slice(), charged.expiring),
            (thresholds, expiring)
        );
    }

    #[test]
    fn an_exhausted_item_is_not_announced_again_while_its_event_is_on_its_way() {
        let mut item = item(0, 10, 95);
        assert!(charge(&mut item, 10).unwrap().expiring);
        assert!(!charge(&mut item, 1).unwrap().expiring);
    }

    #[test]
    fn a_sum_that_cannot_be_counted_is_no_charge() {
        assert_eq!(charge(&mut item(0, 10, 0), MAX_COUNTER_BYTES + 1), None);
        assert_eq!(charge(&mut item(0, 10, 0), i64::MAX), None);
    }
}
