//! Charging of package items.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::levels::Levels;

/// Maximum value of one counter of an item, in bytes (2 EiB). The sum of two counters fits an
/// `i64`. The constraint `package_queue_counters_range_check` enforces the same maximum.
pub const MAX_COUNTER_BYTES: i64 = 1 << 61;

/// Billed bytes to charge to a user's active item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Charge {
    /// User whose active item is charged.
    pub user_id: Uuid,
    /// Billed upload, in bytes.
    pub upload_bytes: i64,
    /// Billed download, in bytes.
    pub download_bytes: i64,
}

/// A user's active item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ActiveItem {
    /// Id of the item.
    pub id: i64,
    /// Owner of the item.
    pub user_id: Uuid,
    /// Upload billed so far, in bytes.
    pub upload_bytes: i64,
    /// Download billed so far, in bytes.
    pub download_bytes: i64,
    /// `traffic_limit + adjust_quota`, in bytes. It may be negative. `None` if the package is
    /// unlimited.
    pub quota_bytes: Option<i64>,
    /// The highest threshold that was announced, in percent.
    pub announced_percent: i16,
    /// When the item was last announced as expiring. `None` if it was not.
    pub expiring_event_at: Option<DateTime<Utc>>,
}

/// Result of a charge.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Charged {
    /// Thresholds that the charge reached, in percent, ascending.
    pub thresholds: Vec<i16>,
    /// Sum of the upload and download billed so far, in bytes.
    pub used_bytes: i64,
    /// Whether this charge marked the item as expiring, because its quota is used up.
    pub expiring: bool,
}

impl ActiveItem {
    /// Adds a charge. `thresholds` are percentages of the quota. If the quota is used up and the
    /// item is not marked as expiring yet, it is marked at `now`. `None` if a counter would exceed
    /// [`MAX_COUNTER_BYTES`].
    pub fn charge(
        &mut self,
        charge: &Charge,
        thresholds: &Levels,
        now: DateTime<Utc>,
    ) -> Option<Charged> {
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
        let thresholds: Vec<i16> = thresholds.iter().filter(passed).collect();
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
        item.charge(
            &charge,
            &Levels::DEFAULT_QUOTA_PERCENT,
            DateTime::UNIX_EPOCH,
        )
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
    #[case::negative_quota(item(0, -5, 0), 0, &[50, 80, 95], true)]
    fn each_threshold_is_passed_once_and_the_last_byte_exhausts_the_quota(
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
    fn an_exhausted_item_is_marked_as_expiring_once() {
        let mut item = item(0, 10, 95);
        assert!(charge(&mut item, 10).unwrap().expiring);
        assert!(!charge(&mut item, 1).unwrap().expiring);
    }

    #[test]
    fn a_counter_above_its_maximum_is_rejected() {
        assert_eq!(charge(&mut item(0, 10, 0), MAX_COUNTER_BYTES + 1), None);
        assert_eq!(charge(&mut item(0, 10, 0), i64::MAX), None);
    }
}
