//! When silence counts as an outage of a server, and when as an outage of the collection.

use std::ops::RangeInclusive;

use chrono::{DateTime, TimeDelta, Utc};

use crate::domain::time_range::TimeRange;

/// When a server counts as offline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OfflinePolicy {
    /// A server that sent no report for longer is offline.
    pub offline_timeout: TimeDelta,
}

impl OfflinePolicy {
    /// Accepted timeouts, in seconds. Servers report every minute, so a shorter timeout would take
    /// a single late report for an outage. A server that is silent for a day is offline.
    pub const TIMEOUT_SECONDS: RangeInclusive<i64> = 120..=86_400;

    /// The refresh job runs once a minute. A pause up to this length does not affect silence,
    /// whatever the timeout.
    const SHORTEST_PAUSE: TimeDelta = TimeDelta::seconds(150);

    /// A policy with a timeout in seconds. `None` if it is not within [`Self::TIMEOUT_SECONDS`].
    #[must_use]
    pub fn new(timeout_seconds: i64) -> Option<Self> {
        Self::TIMEOUT_SECONDS
            .contains(&timeout_seconds)
            .then(|| Self {
                offline_timeout: TimeDelta::seconds(timeout_seconds),
            })
    }

    /// If the refresh job did not run for longer than this, reports may still wait in the queue,
    /// and silence during the pause is not evidence of an outage.
    #[must_use]
    pub fn longest_pause(&self) -> TimeDelta {
        (self.offline_timeout / 2).max(Self::SHORTEST_PAUSE)
    }
}

impl Default for OfflinePolicy {
    /// Five minutes.
    fn default() -> Self {
        Self {
            offline_timeout: TimeDelta::minutes(5),
        }
    }
}

/// What the database knows about the fleet at the beginning of a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FleetSnapshot {
    /// Servers with status online that have sent at least one report.
    pub online_servers: i64,
    /// The latest heartbeat of any server.
    pub last_heartbeat_at: Option<DateTime<Utc>>,
    /// Beginning of the outage of the collection that is not over yet.
    pub open_outage_since: Option<DateTime<Utc>>,
}

/// What the refresh job stores from one run to the next.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WatchState {
    /// Time of the last run.
    pub last_run_at: Option<DateTime<Utc>>,
    /// Silence is counted from here at the earliest, because servers were not observed before.
    pub silence_counts_from: Option<DateTime<Utc>>,
}

/// The instants to which a server's last heartbeat is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SilenceCutoffs {
    /// A server is silent for too long if its last heartbeat is earlier.
    pub offline_before: DateTime<Utc>,
    /// A heartbeat from before this instant is late.
    pub fresh_from: DateTime<Utc>,
    /// Silence is counted from here at the earliest.
    pub silence_counts_from: Option<DateTime<Utc>>,
}

impl SilenceCutoffs {
    /// Whether a server with this last heartbeat has been silent for too long.
    #[must_use]
    pub fn is_silent(&self, last_heartbeat_at: DateTime<Utc>) -> bool {
        let counted_from = self
            .silence_counts_from
            .map_or(last_heartbeat_at, |from| last_heartbeat_at.max(from));
        counted_from < self.offline_before
    }
}

/// Whether reports reach the system at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CollectionHealth {
    /// No server was heard for longer than the timeout. The collection is broken, and no server is
    /// evaluated.
    Stopped {
        /// The last heartbeat of any server.
        since: DateTime<Utc>,
        /// The outage was not known before this run.
        is_new: bool,
    },
    /// Servers are evaluated one by one.
    Working {
        /// The instants to which heartbeats are compared.
        cutoffs: SilenceCutoffs,
        /// Beginning of the outage of the collection that this run ends.
        resumed: Option<DateTime<Utc>>,
        /// A pause of the job that this run ends. What servers were during it is not known.
        pause: Option<TimeRange>,
    },
}

impl CollectionHealth {
    /// The instants to which heartbeats are compared. `None` if the collection is broken.
    #[must_use]
    pub fn cutoffs(&self) -> Option<SilenceCutoffs> {
        match self {
            Self::Working { cutoffs, .. } => Some(*cutoffs),
            Self::Stopped { .. } => None,
        }
    }
}

/// Decides whether the collection works, and from which instant on a server counts as silent.
///
/// If a single server is online, silence is an outage of that server, since there is no other
/// server to compare it with. With several servers online, silence is measured up to the last
/// heartbeat of any of them. When the collection breaks, servers fall silent one after the other
/// within one report period, and none of them is offline.
#[must_use]
pub fn evaluate(
    fleet: &FleetSnapshot,
    state: &WatchState,
    policy: &OfflinePolicy,
    now: DateTime<Utc>,
) -> CollectionHealth {
    let timeout = policy.offline_timeout;
    let paused = state
        .last_run_at
        .is_none_or(|last_run_at| now - last_run_at > policy.longest_pause());
    let counts_from = if paused {
        Some(now)
    } else {
        state.silence_counts_from
    };
    let is_observed =
        fleet.online_servers > 1 && counts_from.is_none_or(|from| from < now - timeout);
    let silent_since = fleet.last_heartbeat_at.filter(|last| *last < now - timeout);
    if let Some(since) = silent_since.filter(|_| is_observed || fleet.open_outage_since.is_some()) {
        return CollectionHealth::Stopped {
            since,
            is_new: fleet.open_outage_since.is_none(),
        };
    }
    let observed_until = fleet
        .last_heartbeat_at
        .filter(|_| fleet.online_servers > 1)
        .map_or(now, |last| last.min(now));
    let offline_before = observed_until - timeout;
    let resumed = fleet.open_outage_since;
    CollectionHealth::Working {
        cutoffs: SilenceCutoffs {
            offline_before,
            fresh_from: offline_before + timeout / 2,
            silence_counts_from: resumed.map_or(counts_from, |_| Some(now)),
        },
        resumed,
        pause: state
            .last_run_at
            .filter(|_| paused && resumed.is_none())
            .map(|start| TimeRange { start, end: now }),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const POLICY: OfflinePolicy = OfflinePolicy {
        offline_timeout: TimeDelta::minutes(5),
    };

    fn at(text: &str) -> DateTime<Utc> {
        format!("2026-03-10T{text}Z").parse().unwrap()
    }

    fn fleet(online_servers: i64, last: &str) -> FleetSnapshot {
        FleetSnapshot {
            online_servers,
            last_heartbeat_at: Some(at(last)),
            open_outage_since: None,
        }
    }

    fn ran(last_run_at: &str) -> WatchState {
        WatchState {
            last_run_at: Some(at(last_run_at)),
            silence_counts_from: None,
        }
    }

    fn counts_from(from: &str) -> WatchState {
        WatchState {
            silence_counts_from: Some(at(from)),
            ..ran("10:04:00")
        }
    }

    #[rstest]
    #[case::at_the_limit(fleet(2, "10:00:00"), ran("10:04:00"), false)]
    #[case::one_second_over_the_limit(fleet(2, "09:59:59"), ran("10:04:00"), true)]
    #[case::only_one_server_online(fleet(1, "08:00:00"), ran("10:04:00"), false)]
    #[case::no_heartbeat_ever(
        FleetSnapshot { online_servers: 5, ..FleetSnapshot::default() }, ran("10:04:00"), false
    )]
    #[case::after_a_pause(fleet(2, "09:55:00"), ran("09:55:00"), false)]
    #[case::soon_after_a_pause(fleet(2, "09:50:00"), counts_from("10:00:00"), false)]
    fn the_collection_is_broken_when_no_server_is_heard(
        #[case] fleet: FleetSnapshot,
        #[case] state: WatchState,
        #[case] stopped: bool,
    ) {
        let health = evaluate(&fleet, &state, &POLICY, at("10:05:00"));
        assert_eq!(
            matches!(health, CollectionHealth::Stopped { is_new: true, .. }),
            stopped
        );
    }

    #[rstest]
    #[case::every_minute(fleet(2, "10:04:50"), ran("10:04:00"), None)]
    #[case::a_missed_run(fleet(2, "10:04:50"), ran("10:02:30"), None)]
    #[case::a_pause(fleet(2, "10:04:50"), ran("10:02:29"), Some(at("10:05:00")))]
    #[case::the_first_run(fleet(2, "10:04:50"), WatchState::default(), Some(at("10:05:00")))]
    #[case::collection_resumed(
        FleetSnapshot { open_outage_since: Some(at("09:00:00")), ..fleet(2, "10:04:50") },
        ran("10:04:00"),
        Some(at("10:05:00"))
    )]
    #[case::a_while_after(fleet(2, "10:04:50"), counts_from("10:01:00"), Some(at("10:01:00")))]
    fn silence_counts_from_when_servers_are_observed_again(
        #[case] fleet: FleetSnapshot,
        #[case] state: WatchState,
        #[case] from: Option<DateTime<Utc>>,
    ) {
        let health = evaluate(&fleet, &state, &POLICY, at("10:05:00"));
        assert_eq!(health.cutoffs().unwrap().silence_counts_from, from);
    }

    #[rstest]
    #[case::of_several(fleet(2, "10:01:00"), "09:56:00", "09:58:30")]
    #[case::of_one(fleet(1, "10:01:00"), "10:00:00", "10:02:30")]
    #[case::whose_clock_is_ahead(fleet(2, "10:06:00"), "10:00:00", "10:02:30")]
    fn silence_is_measured_up_to_the_last_heartbeat(
        #[case] fleet: FleetSnapshot,
        #[case] before: &str,
        #[case] fresh: &str,
    ) {
        let health = evaluate(&fleet, &ran("10:04:00"), &POLICY, at("10:05:00"));
        let cutoffs = health.cutoffs().unwrap();
        assert_eq!(
            (cutoffs.offline_before, cutoffs.fresh_from),
            (at(before), at(fresh))
        );
    }

    #[rstest]
    #[case::every_minute(fleet(2, "10:04:50"), ran("10:04:00"), None)]
    #[case::a_pause(fleet(2, "10:04:50"), ran("09:58:00"), Some("09:58:00"))]
    #[case::the_first_run(fleet(2, "10:04:50"), WatchState::default(), None)]
    #[case::within_an_outage_of_the_collection(
        FleetSnapshot { open_outage_since: Some(at("09:00:00")), ..fleet(2, "10:04:50") },
        ran("09:58:00"),
        None
    )]
    fn a_pause_of_the_job_is_reported_by_the_run_that_ends_it(
        #[case] fleet: FleetSnapshot,
        #[case] state: WatchState,
        #[case] start: Option<&str>,
    ) {
        let now = at("10:05:00");
        let health = evaluate(&fleet, &state, &POLICY, now);
        let CollectionHealth::Working { pause, .. } = health else {
            panic!("{health:?}")
        };
        let expected = start.map(|start| TimeRange {
            start: at(start),
            end: now,
        });
        assert_eq!(pause, expected);
    }
}
