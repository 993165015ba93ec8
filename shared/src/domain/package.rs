//! Rules of package items.

use uuid::Uuid;

/// Shares of a quota, in percent, that are announced as they are passed.
pub const QUOTA_THRESHOLDS: [i16; 3] = [50, 80, 95];

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

/// A user's active item right after a charge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ActiveItem {
    /// The item.
    pub id: i64,
    /// Its owner.
    pub user_id: Uuid,
    /// Upload and download billed so far, bytes.
    pub used_bytes: i64,
    /// `traffic_limit + adjust_quota`, bytes; may be negative.
    pub quota_bytes: i64,
    /// Highest threshold announced before.
    pub announced_before: i16,
    /// Highest threshold announced now.
    pub announced_after: i16,
    /// It is exhausted, and nobody has been told of late.
    pub expiring: bool,
}

impl ActiveItem {
    /// The thresholds that this charge passed, ascending.
    pub fn thresholds_passed(&self) -> impl Iterator<Item = i16> {
        let (before, after) = (self.announced_before, self.announced_after);
        QUOTA_THRESHOLDS.into_iter().filter(move |percent| (before < *percent) && (*percent <= after))
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(0, 0, &[])]
    #[case(0, 50, &[50])]
    #[case(0, 95, &[50, 80, 95])]
    #[case(50, 95, &[80, 95])]
    #[case(95, 95, &[])]
    fn each_threshold_is_announced_once(#[case] before: i16, #[case] after: i16, #[case] passed: &[i16]) {
        let item = ActiveItem {
            id: 1,
            user_id: Uuid::nil(),
            used_bytes: 0,
            quota_bytes: 0,
            announced_before: before,
            announced_after: after,
            expiring: false,
        };
        assert_eq!(item.thresholds_passed().collect::<Vec<_>>(), passed);
    }
}
