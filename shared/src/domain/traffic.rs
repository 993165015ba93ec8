//! Amounts of traffic in bytes, and the calculation of billed traffic.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use foldhash::fast::RandomState;
use serde::Serialize;
use uuid::Uuid;

/// Maximum number of bytes of each kind in one charge (1 EiB).
pub const MAX_CHARGE_BYTES: i64 = 1 << 60;

/// Identifies the usage of one user through one client in one hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UsageKey {
    /// The user whose traffic it is.
    pub user_id: Uuid,
    /// Start of the UTC hour.
    pub bucket_start: DateTime<Utc>,
    /// Id of the node server that carried the traffic.
    pub node_server_id: i32,
    /// Id of the node client that carried the traffic. `None` if unknown.
    pub node_client_id: Option<i32>,
}

/// Raw and billed bytes of upload and download. Negative only in differences.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Traffic {
    /// Bytes that the user sent.
    #[serde(rename = "raw_upload_bytes")]
    pub raw_upload: i64,
    /// Bytes that the user received.
    #[serde(rename = "raw_download_bytes")]
    pub raw_download: i64,
    /// Bytes charged for upload.
    #[serde(rename = "billed_upload_bytes")]
    pub billed_upload: i64,
    /// Bytes charged for download.
    #[serde(rename = "billed_download_bytes")]
    pub billed_download: i64,
}

impl Traffic {
    /// The sum. `None` if a field would overflow.
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

/// Billed bytes per raw byte of a node client. The factor is stored in units of 10⁻⁴, so it is
/// exact: `node_client.traffic_factor` has four decimal places.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Factor(i32);

impl Factor {
    /// Billed traffic equals raw traffic.
    pub const ONE: Self = Self(10_000);

    /// A factor of `units` ten-thousandths.
    #[must_use]
    pub fn from_units(units: i32) -> Self {
        Self(units)
    }

    /// The factor in ten-thousandths.
    #[must_use]
    pub fn units(self) -> i32 {
        self.0
    }
}

/// Sums raw and billed usage by key. Billed usage is rounded only once, at the end.
///
/// Every raw row passes through this map, so it uses a hasher that is faster than the default. The
/// hasher is randomly seeded.
#[derive(Debug, Default)]
pub struct UsageFold(HashMap<UsageKey, FoldSums, RandomState>);

/// Sums of bytes, and of bytes × factor in units of 10⁻⁴. No fold has enough rows to overflow an
/// `i128`.
#[derive(Debug, Default)]
struct FoldSums {
    upload: i128,
    download: i128,
    upload_charge: i128,
    download_charge: i128,
}

/// Number of units in a factor of one.
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

    /// Returns the sums in no particular order, with billed bytes rounded half away from zero.
    /// `None` if a sum exceeds [`MAX_CHARGE_BYTES`].
    #[must_use]
    pub fn finish(self) -> Option<Vec<(UsageKey, Traffic)>> {
        let bytes = |sum: i128| {
            i64::try_from(sum)
                .ok()
                .filter(|bytes| *bytes <= MAX_CHARGE_BYTES)
        };
        // Charges are never negative, so rounding half up is rounding half away from zero.
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
    fn a_charge_above_the_maximum_is_rejected() {
        assert_eq!(fold(&[(1 << 60, 1_000_000)]), None);
    }

    #[test]
    fn an_overflowing_sum_returns_none() {
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
