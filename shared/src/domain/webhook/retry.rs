//! When a delivery is attempted again.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use sha2::{Digest, Sha256};

/// Time after which a failed attempt is the last one.
pub const RETRIED_FOR: TimeDelta = TimeDelta::hours(24);
/// Pause after the first failed attempt.
const FIRST_PAUSE_SECONDS: i64 = 5;
/// Factor from one pause to the next.
const GROWTH: i64 = 3;
/// Maximum pause, also if the receiver asks for more.
const MAX_PAUSE_SECONDS: i64 = 2 * 3600;
/// Pauses are this much shorter or longer, so that deliveries that failed together do not come
/// back together.
const JITTER_PERCENT: i64 = 20;

/// A delivery after a failed attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failed {
    /// Id of the delivery, from which the jitter is computed.
    pub delivery_id: i64,
    /// Number of attempts, including the failed one.
    pub attempts: i32,
    /// Time after which a failed attempt is the last one.
    pub retry_until: DateTime<Utc>,
    /// Pause that the receiver asked for. `None` if it did not.
    pub retry_after: Option<Duration>,
}

impl Failed {
    /// Time of the next attempt, of which the last one is at `retry_until`. `None` if the attempt
    /// that failed at `now` was the last one.
    #[must_use]
    pub fn next_attempt(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        if now >= self.retry_until {
            return None;
        }
        let asked = self.retry_after.map_or(0, |pause| {
            i64::try_from(pause.as_secs()).unwrap_or(i64::MAX)
        });
        let pause = self.pause_seconds().max(asked.min(MAX_PAUSE_SECONDS));
        Some((now + TimeDelta::seconds(pause)).min(self.retry_until))
    }

    fn pause_seconds(&self) -> i64 {
        let growth = u32::try_from(self.attempts.saturating_sub(1))
            .ok()
            .and_then(|exponent| GROWTH.checked_pow(exponent))
            .unwrap_or(i64::MAX);
        let pause = FIRST_PAUSE_SECONDS
            .saturating_mul(growth)
            .min(MAX_PAUSE_SECONDS);
        let hash = Sha256::new()
            .chain_update(self.delivery_id.to_le_bytes())
            .chain_update(self.attempts.to_le_bytes())
            .finalize();
        let random = hash.first().copied().map_or(0, i64::from);
        // From -JITTER_PERCENT to +JITTER_PERCENT.
        let percent = random * (2 * JITTER_PERCENT) / 255 - JITTER_PERCENT;
        pause + pause * percent / 100
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn start() -> DateTime<Utc> {
        "2026-03-10T10:30:00Z".parse().unwrap()
    }

    fn failed(delivery_id: i64, attempts: i32) -> Failed {
        Failed {
            delivery_id,
            attempts,
            retry_until: start() + RETRIED_FOR,
            retry_after: None,
        }
    }

    /// The times of all attempts of a delivery whose attempts fail at once, in seconds.
    fn attempts(delivery_id: i64) -> Vec<i64> {
        let (mut now, mut times) = (start(), vec![0]);
        for attempt in 1.. {
            let Some(next) = failed(delivery_id, attempt).next_attempt(now) else {
                break;
            };
            now = next;
            times.push((now - start()).num_seconds());
        }
        times
    }

    proptest! {
        #[test]
        fn attempts_are_made_for_a_day_with_growing_pauses(delivery_id: i64) {
            let times = attempts(delivery_id);
            prop_assert_eq!(times.last(), Some(&86_400));
            prop_assert!((16..=26).contains(&times.len()), "{:?}", times);
            prop_assert!((4..=6).contains(&times[1]));
            let pauses: Vec<i64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
            prop_assert!(pauses.iter().all(|pause| *pause <= 8_640), "{:?}", pauses);
            prop_assert!(pauses[..6].is_sorted(), "{:?}", pauses);
        }

        #[test]
        fn any_number_of_attempts_has_a_next_one_in_time(
            delivery_id: i64, attempts in 0..i32::MAX, seconds: u64,
        ) {
            let failed = Failed {
                retry_after: Some(Duration::from_secs(seconds)),
                ..failed(delivery_id, attempts)
            };
            let next = failed.next_attempt(start()).unwrap();
            prop_assert!(next > start() && next <= start() + RETRIED_FOR);
        }
    }

    #[test]
    fn deliveries_that_failed_together_come_back_apart() {
        let seconds = |id| (failed(id, 8).next_attempt(start()).unwrap() - start()).num_seconds();
        let times: std::collections::BTreeSet<i64> = (1..=100).map(seconds).collect();
        assert!(times.len() > 20, "{times:?}");
    }

    #[test]
    fn a_receiver_may_ask_for_a_longer_pause_up_to_two_hours() {
        let after = |seconds| {
            let failed = Failed {
                retry_after: Some(Duration::from_secs(seconds)),
                ..failed(1, 1)
            };
            (failed.next_attempt(start()).unwrap() - start()).num_seconds()
        };
        assert!(after(0) >= 4);
        assert_eq!(after(600), 600);
        assert_eq!(after(86_400), 7_200);
    }

    #[test]
    fn an_attempt_that_ends_after_the_day_is_the_last_one() {
        let day = start() + RETRIED_FOR;
        assert_eq!(failed(1, 3).next_attempt(day), None);
        let before = day - TimeDelta::seconds(1);
        assert_eq!(failed(1, 3).next_attempt(before), Some(day));
    }
}
