//! When a server counts as online or offline, and when nothing can be said of any.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use crate::config::NodeHealthCheck;

/// What is known when servers are to be judged.
#[derive(Debug, Clone, Copy, Default)]
pub struct Heard {
    /// Servers that are online and were heard: those whose silence would say something.
    pub online: i64,
    /// The latest sign of life of any server.
    pub last: Option<DateTime<Utc>>,
    /// Since when nobody is heard, if that is known to be so.
    pub outage_since: Option<DateTime<Utc>>,
    /// When servers were last judged, or found to be all silent.
    pub ran_at: Option<DateTime<Utc>>,
    /// Silence counts from here at the earliest: until then nobody could be heard.
    pub heard_from: Option<DateTime<Utc>>,
}

/// How long silence may last.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// A server that was silent for longer is offline.
    pub offline_timeout: TimeDelta,
}

impl Patience {
    /// Runs of the job, one a minute, that may be missed whatever the timeout.
    const FEW_RUNS: TimeDelta = TimeDelta::seconds(150);

    /// When the job did not run for longer, silence meanwhile says nothing: reports may wait in the queue.
    #[must_use]
    pub fn longest_pause(&self) -> TimeDelta {
        (self.offline_timeout / 2).max(Self::FEW_RUNS)
    }
}

impl From<NodeHealthCheck> for Patience {
    fn from(check: NodeHealthCheck) -> Self {
        let time = |time: Duration| TimeDelta::from_std(time).unwrap_or(TimeDelta::MAX);
        Self { offline_timeout: time(check.offline_timeout) }
    }
}

/// By which moments servers are judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Judgement {
    /// A server last heard before this is silent.
    pub offline_before: DateTime<Utc>,
    /// Silence counts from here at the earliest.
    pub heard_from: Option<DateTime<Utc>>,
}

impl Judgement {
    /// Whether a server that was last heard at `last` was silent for too long.
    #[must_use]
    pub fn is_silence(&self, last: DateTime<Utc>) -> bool {
        self.heard_from.map_or(last, |from| last.max(from)) < self.offline_before
    }
}

/// What to do about the fleet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// No server was heard for longer than the timeout: the collection is broken, and no server is judged.
    CollectionStopped {
        /// The last sign of life of any server.
        since: DateTime<Utc>,
        /// It was not known before.
        begins: bool,
    },
    /// Servers are judged one by one.
    Judge {
        /// An outage of the collection is over, which began then.
        resumed: Option<DateTime<Utc>>,
        /// By which moments.
        judgement: Judgement,
    },
}

impl Verdict {
    /// By which moments servers are judged; none: by none.
    #[must_use]
    pub fn judgement(&self) -> Option<Judgement> {
        match self {
            Self::Judge { judgement, .. } => Some(*judgement),
            Self::CollectionStopped { .. } => None,
        }
    }
}

/// Judges. Where a single server is online, silence is that server's outage: nobody else could be heard.
#[must_use]
pub fn judge(heard: &Heard, patience: &Patience, now: DateTime<Utc>) -> Verdict {
    let offline_before = now - patience.offline_timeout;
    let silent = heard.last.filter(|last| *last < offline_before);
    if let Some(since) = silent.filter(|_| heard.online > 1 || heard.outage_since.is_some()) {
        return Verdict::CollectionStopped { since, begins: heard.outage_since.is_none() };
    }
    let paused = heard.ran_at.is_none_or(|ran_at| now - ran_at > patience.longest_pause());
    let heard_from = if paused || heard.outage_since.is_some() { Some(now) } else { heard.heard_from };
    Verdict::Judge { resumed: heard.outage_since, judgement: Judgement { offline_before, heard_from } }
}

/// How long a server was in which status within a range, seconds. What was not recorded, or fell into an outage of the
/// collection, is unknown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
pub struct StatusTimes {
    /// Online.
    pub online_seconds: i64,
    /// Offline.
    pub offline_seconds: i64,
    /// In maintenance.
    pub maintenance_seconds: i64,
    /// Nobody knows.
    pub unknown_seconds: i64,
}

impl StatusTimes {
    /// Online / (online + offline), from 0 to 1; none where neither is known.
    #[must_use]
    #[expect(clippy::cast_precision_loss, clippy::as_conversions, reason = "seconds of a range of months are exact")]
    pub fn availability(&self) -> Option<f64> {
        let known = self.online_seconds.checked_add(self.offline_seconds)?;
        (known > 0).then(|| self.online_seconds as f64 / known as f64)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const PATIENCE: Patience = Patience { offline_timeout: TimeDelta::minutes(5) };

    fn at(text: &str) -> DateTime<Utc> {
        format!("2026-03-10T{text}Z").parse().unwrap()
    }

    fn heard(online: i64, last: &str) -> Heard {
        Heard { online, last: Some(at(last)), ran_at: Some(at("10:04:00")), ..Heard::default() }
    }

    #[rstest]
    #[case::at_the_very_limit(heard(2, "10:00:00"), false)]
    #[case::a_moment_later(heard(2, "09:59:59"), true)]
    #[case::only_one_could_be_heard(heard(1, "08:00:00"), false)]
    #[case::never_heard(Heard { online: 5, ..Heard::default() }, false)]
    fn when_nobody_is_heard_the_collection_is_broken(#[case] heard: Heard, #[case] stopped: bool) {
        let verdict = judge(&heard, &PATIENCE, at("10:05:00"));
        assert_eq!(matches!(verdict, Verdict::CollectionStopped { begins: true, .. }), stopped);
    }

    #[rstest]
    #[case::every_minute(heard(2, "10:04:50"), None)]
    #[case::a_missed_run(Heard { ran_at: Some(at("10:02:30")), ..heard(2, "10:04:50") }, None)]
    #[case::a_pause(Heard { ran_at: Some(at("10:02:29")), ..heard(2, "10:04:50") }, Some(at("10:05:00")))]
    #[case::the_first_run(Heard { ran_at: None, ..heard(2, "10:04:50") }, Some(at("10:05:00")))]
    #[case::collection_resumed(Heard { outage_since: Some(at("09:00:00")), ..heard(2, "10:04:50") }, Some(at("10:05:00")))]
    #[case::a_while_after(Heard { heard_from: Some(at("10:01:00")), ..heard(2, "10:04:50") }, Some(at("10:01:00")))]
    fn silence_counts_from_when_servers_could_be_heard_again(
        #[case] heard: Heard,
        #[case] from: Option<DateTime<Utc>>,
    ) {
        let Verdict::Judge { judgement, .. } = judge(&heard, &PATIENCE, at("10:05:00")) else { panic!() };
        assert_eq!(judgement.heard_from, from);
    }
}
