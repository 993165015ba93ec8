//! Amounts of traffic: bytes, exact, never negative.

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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_sum_that_cannot_be_counted_is_no_sum() {
        let full = Traffic { billed_upload: i64::MAX, ..Traffic::default() };
        assert_eq!(full.checked_add(Traffic { billed_upload: 1, ..Traffic::default() }), None);
    }

    proptest! {
        #[test]
        fn a_sum_conserves_every_byte(a in 0..=i64::MAX / 2, b in 0..=i64::MAX / 2) {
            let [x, y] = [a, b].map(|n| Traffic { raw_upload: n, raw_download: n, billed_upload: n, billed_download: n });
            let sum = x.checked_add(y).unwrap();
            prop_assert_eq!([sum.raw_upload, sum.raw_download, sum.billed_upload, sum.billed_download], [a + b; 4]);
        }
    }
}
