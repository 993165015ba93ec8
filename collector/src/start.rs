//! When a node process began to count, and whether two readings come from the same process.

use serde::{Deserialize, Serialize};

use crate::clock::{MAX_AHEAD_MS, Now};

/// The clocks of two machines drift apart by at most a five-thousandth (200 ppm).
const DRIFT: i64 = 5_000;

/// What a reading says about the start of the process that counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "by", rename_all = "snake_case")]
pub enum Start {
    Unknown,
    Uptime(Uptime),
    /// The start of a process of this machine, in clock ticks after the machine's start.
    Process {
        boot: String,
        ticks: u64,
    },
}

/// The bounds between which a process started that says for how many whole seconds it has run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Uptime {
    boot: String,
    ran_ms: i64,
    earliest_ms: i64,
    latest_ms: i64,
    read_ms: i64,
    earliest_wall_ms: i64,
    latest_wall_ms: i64,
}

impl Uptime {
    /// `before` and `after` are the clocks before and after the request for the uptime.
    #[must_use]
    pub fn new(uptime_seconds: u32, before: &Now, after: &Now) -> Self {
        let ran_ms = i64::from(uptime_seconds) * 1000;
        Self {
            boot: after.boot.clone(),
            ran_ms,
            earliest_ms: before.monotonic_ms - ran_ms - 1000,
            latest_ms: after.monotonic_ms - ran_ms,
            read_ms: after.monotonic_ms,
            earliest_wall_ms: before.wall_ms - ran_ms - 1000,
            latest_wall_ms: after.wall_ms - ran_ms,
        }
    }

    fn replaces(&self, old: &Self) -> bool {
        if self.boot == old.boot {
            let drift = (self.read_ms - old.read_ms).max(0) / DRIFT;
            return self.earliest_ms > old.latest_ms + drift;
        }
        // This machine was restarted since, and a process that is younger than the machine with it.
        // An older process runs on another machine.
        self.ran_ms < self.read_ms || self.earliest_wall_ms > old.latest_wall_ms + MAX_AHEAD_MS
    }
}

impl Start {
    /// Whether another process counts now than at the time of `old`. If nothing is known, the
    /// answer is no, because a counter that is billed again costs users more than one that is
    /// billed late costs the operator.
    #[must_use]
    pub fn replaces(&self, old: &Self) -> bool {
        match (self, old) {
            (Self::Uptime(new), Self::Uptime(old)) => new.replaces(old),
            (Self::Process { .. }, Self::Process { .. }) => self != old,
            _ => false,
        }
    }

    /// Whether the process certainly began to count after `added`.
    #[must_use]
    pub fn is_after(&self, added: &Now) -> bool {
        match self {
            Self::Unknown => false,
            Self::Uptime(uptime) if uptime.boot == added.boot => {
                uptime.earliest_ms > added.monotonic_ms
            }
            Self::Uptime(uptime) => uptime.ran_ms < uptime.read_ms,
            Self::Process { boot, .. } => *boot != added.boot,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64, boot: &str) -> Now {
        Now {
            wall_ms: 1_700_000_000_000 + seconds * 1000,
            monotonic_ms: seconds * 1000,
            boot: boot.to_owned(),
        }
    }

    fn up(uptime_seconds: u32, seconds: i64) -> Start {
        let now = at(seconds, "a");
        Start::Uptime(Uptime::new(uptime_seconds, &now, &now))
    }

    #[test]
    fn the_same_process_is_recognised_at_any_distance() {
        for (first, later) in [((0, 100), (10, 110)), ((7, 100), (100_006, 100_100))] {
            assert!(!up(later.0, later.1).replaces(&up(first.0, first.1)));
        }
        // Whole seconds: both are true of a process that started at 99.5.
        assert!(!up(9, 109).replaces(&up(1, 100)));
    }

    #[test]
    fn a_restart_is_recognised_even_if_it_is_long_ago() {
        assert!(up(0, 110).replaces(&up(50, 100)));
        assert!(up(9, 110).replaces(&up(50, 100)));
        assert!(up(3000, 4000).replaces(&up(800, 900)));
    }

    #[test]
    fn a_restart_of_the_machine_restarts_its_processes() {
        let now = at(60, "b");
        let later = Start::Uptime(Uptime::new(50, &now, &now));
        assert!(later.replaces(&up(800, 900)));
        assert!(later.is_after(&at(10, "a")));
    }

    #[test]
    fn a_process_of_another_machine_survives_the_restart_of_this_one() {
        let mut now = at(60, "b");
        now.wall_ms = at(1000, "a").wall_ms;
        let later = Start::Uptime(Uptime::new(900, &now, &now));
        assert!(!later.replaces(&up(800, 900)));
        assert!(!later.is_after(&at(10, "a")));
    }

    #[test]
    fn only_a_process_younger_than_the_installation_is_counted_from_zero() {
        assert!(up(5, 100).is_after(&at(90, "a")));
        assert!(!up(9, 100).is_after(&at(90, "a")));
        assert!(!up(50, 100).is_after(&at(90, "a")));
        assert!(!Start::Unknown.is_after(&at(90, "a")));
    }

    #[test]
    fn a_start_that_is_unknown_replaces_nothing() {
        assert!(!Start::Unknown.replaces(&up(1, 1)));
        assert!(!up(1, 1).replaces(&Start::Unknown));
        let process = |ticks| Start::Process {
            boot: "a".to_owned(),
            ticks,
        };
        assert!(process(2).replaces(&process(1)));
        assert!(!process(1).replaces(&process(1)));
    }
}
