//! The machine's clocks, and whether the wall clock can be trusted.

use std::fs;
use std::time::SystemTime;

use rustix::time::{ClockId, clock_gettime};

/// How far the wall clock may be ahead. The receiver rejects periods that end later.
pub const MAX_AHEAD_MS: i64 = 5 * 60 * 1000;
/// A jump ahead that has lasted this long and that nothing contradicts is accepted.
pub const ACCEPT_JUMP_AFTER_MS: i64 = 30 * 60 * 1000;

/// One reading of all clocks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Now {
    /// Milliseconds since 1970, by the wall clock. May jump.
    pub wall_ms: i64,
    /// Milliseconds since the machine's start, without jumps.
    pub monotonic_ms: i64,
    /// Identifies the machine's start, within which `monotonic_ms` can be compared.
    pub boot: String,
}

impl Now {
    #[must_use]
    pub fn read() -> Self {
        Self {
            wall_ms: wall_ms(),
            monotonic_ms: monotonic_ms(),
            boot: boot(),
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the only place that reads the wall clock"
)]
fn wall_ms() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| {
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    })
}

/// Milliseconds since the machine's start, without jumps.
#[must_use]
pub fn monotonic_ms() -> i64 {
    let time = clock_gettime(ClockId::Monotonic);
    time.tv_sec * 1000 + time.tv_nsec / 1_000_000
}

/// The kernel's id of this start of the machine. Empty if `/proc` is not mounted.
fn boot() -> String {
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id");
    id.map(|id| id.trim().to_owned()).unwrap_or_default()
}

/// Whether the wall clock is so far ahead that the receiver would reject a period that ends now.
///
/// `trusted` is an earlier reading that was not ahead, and `sink_ms` the receiver's time, if known.
#[must_use]
pub fn is_ahead(now: &Now, trusted: Option<&Now>, sink_ms: Option<i64>) -> bool {
    if let Some(sink_ms) = sink_ms {
        return now.wall_ms - sink_ms > MAX_AHEAD_MS;
    }
    trusted.is_some_and(|trusted| {
        let wall = now.wall_ms - trusted.wall_ms;
        let monotonic = now.monotonic_ms - trusted.monotonic_ms;
        now.boot == trusted.boot && wall - monotonic > MAX_AHEAD_MS
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(wall_ms: i64, monotonic_ms: i64, boot: &str) -> Now {
        Now {
            wall_ms,
            monotonic_ms,
            boot: boot.to_owned(),
        }
    }

    #[test]
    fn a_jump_of_more_than_five_minutes_ahead_is_not_trusted() {
        let trusted = at(1_000_000, 500, "a");
        let just = at(1_000_000 + MAX_AHEAD_MS + 10_000, 10_500, "a");
        assert!(!is_ahead(&just, Some(&trusted), None));
        let over = at(1_000_001 + MAX_AHEAD_MS + 10_000, 10_500, "a");
        assert!(is_ahead(&over, Some(&trusted), None));
    }

    #[test]
    fn the_receivers_time_decides_if_it_is_known() {
        let trusted = at(0, 0, "a");
        let jumped = at(3_600_000, 0, "a");
        assert!(!is_ahead(&jumped, Some(&trusted), Some(3_600_000)));
        let steady = at(3_600_000, 3_600_000, "a");
        assert!(is_ahead(&steady, Some(&trusted), Some(0)));
    }

    #[test]
    fn clocks_of_two_boots_are_not_compared() {
        assert!(!is_ahead(
            &at(i64::MAX / 2, 0, "b"),
            Some(&at(0, 0, "a")),
            None
        ));
    }

    #[test]
    fn the_monotonic_clock_does_not_go_back() {
        let before = Now::read();
        let after = Now::read();
        assert!(after.monotonic_ms >= before.monotonic_ms);
        assert_eq!(after.boot, before.boot);
    }
}
