//! Amounts of traffic: bytes, exact, never negative.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use foldhash::fast::RandomState;
use uuid::Uuid;

/// The greatest number of bytes of each kind that one charge can hold: 1 EiB.
pub const MAX_CHARGE_BYTES: i64 = 1 << 60;

/// Which usage: one user's, through one client, in one hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UsageKey {
    /// Whose.
    pub user_id: Uuid,
    /// Start of the UTC hour.
    pub bucket_start: DateTime<Utc>,
    /// Which server.
    pub node_server_id: i32,
    /// Which client, where known.
    pub node_client_id: Option<i32>,
}

/// Raw and billed bytes, both ways.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Bytes really sent by the user.
    pub raw_upload: i64,
    /// Bytes really received by the user.
    pub raw_download: i64,
    /// Bytes charged for upload.
    pub billed_upload: i64,
    /// Bytes charged for download.
    pub billed_download: i64,
}

impl Traffic {
    /// The sum, or none where it cannot be counted in an `i64`.
    #[must_use]
    pub fn checked_add(self, other: Self) -> Option<Self> {
        Some(Self {
            raw_upload: self.raw_upload.checked_add(other.raw_upload)?,
            raw_download: self.raw_download.checked_add(other.raw_download)?,
            billed_upload: self.billed_upload.checked_add(other.billed_upload)?,
            billed_download: self.billed_download.checked_add(other.billed_download)?,
        })
    }
}

/// What a client's traffic is multiplied with to be billed: exact, in units of 10⁻⁴, as
/// `node_client.traffic_factor` has four digits after the point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Factor(i32);

impl Factor {
    /// Bills what was carried.
    pub const ONE: Self = Self(10_000);

    /// So many ten-thousandths.
    #[must_use]
    pub fn from_units(units: i32) -> Self {
        Self(units)
    }

    /// In ten-thousandths.
    #[must_use]
    pub fn units(self) -> i32 {
        self.0
    }
}

/// Sums raw usage and what it costs. Nothing is rounded before the end.
///
/// Hashed with seeds of its own, and faster than by default: every raw row passes through here.
#[derive(Debug, Default)]
pub struct UsageFold(HashMap<UsageKey, FoldSums, RandomState>);

/// Bytes, and bytes × factor in units of 10⁻⁴. No fold has so many rows that an `i128` could
/// overflow.
#[derive(Debug, Default)]
struct FoldSums {
    upload: i128,
    download: i128,
    upload_charge: i128,
    download_charge: i128,
}

/// Units in a factor of one.
const FACTOR_UNIT: i128 = 10_000;

impl UsageFold {
    /// Adds a raw row.
    pub fn add(&mut self, key: UsageKey, upload_bytes: i64, download_bytes: i64, factor: Factor) {
        let factor = i128::from(factor.units());
        let (upload, download) = (i128::from(upload_bytes), i128::from(download_bytes));
        let sums = self.0.entry(key).or_default();
        sums.upload += upload;
        sums.download += download;
        sums.upload_charge += upload * factor;
        sums.download_charge += download * factor;
    }

    /// The sums, in no order, the charge rounded half away from zero. `None` if one exceeds what a
    /// charge can hold ([`MAX_CHARGE_BYTES`]).
    #[must_use]
    pub fn finish(self) -> Option<Vec<(UsageKey, Traffic)>> {
        let bytes = |sum: i128| {
            i64::try_from(sum)
                .ok()
                .filter(|bytes| *bytes <= MAX_CHARGE_BYTES)
        };
        // Never negative: half away from zero is half up.
        let rounded = |charge: i128| bytes((charge + FACTOR_UNIT / 2) / FACTOR_UNIT);
        let traffic = |sums: FoldSums| {
            Some(Traffic {
                raw_upload: bytes(sums.upload)?,
                raw_download: bytes(sums.download)?,
                billed_upload: rounded(sums.upload_charge)?,
                billed_download: rounded(sums.download_charge)?,
            })
        };
        self.0
            .into_iter()
            .map(|(key, sums)| Some((key, traffic(sums)?)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    fn fold(rows: &[(i64, i32)]) -> Option<Traffic> {
        let key = UsageKey {
            user_id: Uuid::nil(),
            bucket_start: DateTime::UNIX_EPOCH,
            node_server_id: 1,
            node_client_id: None,
        };
        let mut fold = UsageFold::default();
        for (bytes, factor) in rows {
            fold.add(key, *bytes, 0, Factor::from_units(*factor));
        }
        fold.finish().map(|usage| usage[0].1)
    }

    #[rstest]
    #[case(&[(1, 5_000)], 1)]
    #[case(&[(1, 4_999)], 0)]
    #[case(&[(3, 15_000)], 5)]
    #[case(&[(7, 0)], 0)]
    #[case(&[(1, 5_000), (1, 5_000)], 1)]
    #[case(&[(10, 10_000), (10, 20_000), (1, 2_500)], 30)]
    fn a_charge_is_rounded_once_at_the_end_half_away_from_zero(
        #[case] rows: &[(i64, i32)],
        #[case] billed: i64,
    ) {
        let traffic = fold(rows).unwrap();
        assert_eq!(
            (traffic.raw_upload, traffic.billed_upload),
            (rows.iter().map(|row| row.0).sum(), billed)
        );
    }

    #[test]
    fn a_charge_that_cannot_be_counted_is_no_charge() {
        assert_eq!(fold(&[(1 << 60, 1_000_000)]), None);
    }

    #[test]
    fn a_sum_that_cannot_be_counted_is_no_sum() {
        let full = Traffic {
            billed_upload: i64::MAX,
            ..Traffic::default()
        };
        assert_eq!(
            full.checked_add(Traffic {
                billed_upload: 1,
                ..Traffic::default()
            }),
            None
        );
    }

    proptest! {
        #[test]
        fn a_sum_conserves_every_byte(a in 0..=i64::MAX / 2, b in 0..=i64::MAX / 2) {
            let [x, y] = [a, b].map(|n| Traffic { raw_upload: n, raw_download: n,
                billed_upload: n, billed_download: n });
            let sum = x.checked_add(y).unwrap();
            prop_assert_eq!([sum.raw_upload, sum.raw_download, sum.billed_upload,
                sum.billed_download], [a + b; 4]);
        }
    }
}
