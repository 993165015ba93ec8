//! How much traffic a node server can carry.

use std::ops::RangeInclusive;

use chrono::TimeDelta;

/// Maximum rate of a node server's line, upload and download together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LineRate(u32);

impl LineRate {
    /// Accepted rates, from 1 Mbit/s to 100 Tbit/s.
    pub const MBIT_PER_SECOND: RangeInclusive<u32> = 1..=100_000_000;
    /// Tolerance that is added to the length of a period. Collectors read their counters slightly
    /// before or after the ends of the period, their clocks are sometimes set back, and some
    /// collectors report periods of length zero.
    pub const SLACK: TimeDelta = TimeDelta::seconds(60);

    /// A rate in Mbit/s. `None` if it is not in [`Self::MBIT_PER_SECOND`].
    #[must_use]
    pub fn new(mbit_per_second: u32) -> Option<Self> {
        Self::MBIT_PER_SECOND
            .contains(&mbit_per_second)
            .then_some(Self(mbit_per_second))
    }

    /// The rate in Mbit/s.
    #[must_use]
    pub fn mbit_per_second(self) -> u32 {
        self.0
    }

    /// Whether a server with this line can carry `bytes` in `period` plus [`Self::SLACK`].
    #[must_use]
    pub fn carries(self, bytes: i64, period: TimeDelta) -> bool {
        let micros = (period + Self::SLACK)
            .num_microseconds()
            .unwrap_or(i64::MAX);
        // 1 Mbit/s is one bit per microsecond.
        i128::from(bytes) * 8 <= i128::from(micros) * i128::from(self.0)
    }
}

impl Default for LineRate {
    /// 100 Gbit/s.
    fn default() -> Self {
        Self(100_000)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::period_of_length_zero(0, 750_000_000_000)]
    #[case::ten_seconds(10, 875_000_000_000)]
    #[case::one_minute(60, 1_500_000_000_000)]
    fn a_line_carries_its_rate_times_the_period_and_slack(#[case] seconds: i64, #[case] most: i64) {
        let carries = |bytes| LineRate::default().carries(bytes, TimeDelta::seconds(seconds));
        assert_eq!(
            [carries(0), carries(most), carries(most + 1)],
            [true, true, false]
        );
    }

    #[rstest]
    #[case::none(0)]
    #[case::too_fast(100_000_001)]
    fn a_rate_out_of_range_is_none(#[case] mbit_per_second: u32) {
        assert_eq!(LineRate::new(mbit_per_second), None);
    }
}
