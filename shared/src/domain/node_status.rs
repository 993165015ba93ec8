//! When a server counts as online or offline, and when nothing can be said of any.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::node::NodeServerStatus;
use crate::config::NodeHealthCheck;

/// An outage of the collection: nobody was heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CollectionOutage {
    /// The last sign of life of any server.
    pub since: DateTime<Utc>,
    /// The first one after it; none: it lasts.
    pub until: Option<DateTime<Utc>>,
}

/// What is known when servers are to be judged.
#[derive(Debug, Clone, Copy)]
pub struct Heard {
    /// Servers there are.
    pub servers: i64,
    /// The latest sign of life of any of them.
    pub last: Option<DateTime<Utc>>,
    /// The latest outage of the collection.
    pub outage: Option<CollectionOutage>,
}

/// How long silence may last.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// A server that was silent for longer is offline.
    pub offline_timeout: TimeDelta,
    /// An offline server is online again when it was heard so recently; or, heard within the timeout, when it has been
    /// heard for longer than the difference of the two, so that reports that are always late count as well. The
    /// difference is more than the time between two reports: a single late report of a server that is gone does not
    /// bring it back for a moment.
    pub recovery_window: TimeDelta,
}

impl From<NodeHealthCheck> for Patience {
    fn from(check: NodeHealthCheck) -> Self {
        let time = |time: Duration| TimeDelta::from_std(time).unwrap_or(TimeDelta::MAX);
        Self { offline_timeout: time(check.offline_timeout), recovery_window: time(check.recovery_window) }
    }
}

/// By which moments servers are judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Judgement {
    /// An online server last heard before this is offline.
    pub offline_before: DateTime<Utc>,
    /// An offline server heard since this is online.
    pub online_from: DateTime<Utc>,
    /// So is one that was heard since [`Self::offline_before`], and so long after its outage began.
    pub heard_for: TimeDelta,
    /// Silence counts from here at the earliest: until then nobody could be heard.
    pub heard_from: Option<DateTime<Utc>>,
}

/// What to do about the fleet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// No server was heard for longer than the timeout: the collection is broken, and no server is judged. `begins`: it
    /// was not known before.
    CollectionStopped {
        /// The last sign of life of any server.
        since: DateTime<Utc>,
        /// This is news.
        begins: bool,
    },
    /// Servers are judged one by one.
    Judge {
        /// An outage of the collection is over.
        ended: Option<CollectionOutage>,
        /// By which moments.
        judgement: Judgement,
    },
}

/// Judges. Of a fleet of one, silence is that server's outage: nobody else could be heard.
#[must_use]
pub fn judge(heard: &Heard, patience: &Patience, now: DateTime<Utc>) -> Verdict {
    let offline_before = now - patience.offline_timeout;
    let open = heard.outage.filter(|outage| outage.until.is_none());
    if let Some(since) = heard.last.filter(|last| heard.servers > 1 && *last < offline_before) {
        return Verdict::CollectionStopped { since, begins: open.is_none() };
    }
    let ended = open.map(|outage| CollectionOutage { until: heard.last.or(Some(now)), ..outage });
    let heard_from = ended.or(heard.outage).and_then(|outage| outage.until);
    let (online_from, heard_for) =
        (now - patience.recovery_window, patience.offline_timeout - patience.recovery_window);
    let judgement = Judgement { offline_before, online_from, heard_for, heard_from };
    Verdict::Judge { ended, judgement }
}

/// A change of a server's status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edge {
    /// The server.
    pub node_server_id: i32,
    /// Its name.
    pub name: String,
    /// What it was.
    pub from: NodeServerStatus,
    /// What it is.
    pub to: NodeServerStatus,
    /// Since when: of an outage, the last sign of life.
    pub since: DateTime<Utc>,
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

    const PATIENCE: Patience =
        Patience { offline_timeout: TimeDelta::minutes(5), recovery_window: TimeDelta::minutes(2) };

    fn at(text: &str) -> DateTime<Utc> {
        format!("2026-03-10T{text}Z").parse().unwrap()
    }

    fn heard(servers: i64, last: &str) -> Heard {
        Heard { servers, last: Some(at(last)), outage: None }
    }

    #[rstest]
    #[case::at_the_very_limit(heard(2, "10:00:00"), false)]
    #[case::a_moment_later(heard(2, "09:59:59"), true)]
    #[case::a_fleet_of_one(heard(1, "08:00:00"), false)]
    #[case::never_heard(Heard { servers: 5, last: None, outage: None }, false)]
    fn when_nobody_is_heard_the_collection_is_broken(#[case] heard: Heard, #[case] stopped: bool) {
        let verdict = judge(&heard, &PATIENCE, at("10:05:00"));
        assert_eq!(matches!(verdict, Verdict::CollectionStopped { begins: true, .. }), stopped);
    }

    #[test]
    fn after_an_outage_of_the_collection_silence_counts_from_its_end() {
        let outage = CollectionOutage { since: at("09:00:00"), until: None };
        let heard = Heard { outage: Some(outage), ..heard(2, "10:04:50") };
        let Verdict::Judge { ended, judgement } = judge(&heard, &PATIENCE, at("10:05:00")) else { panic!() };
        let until = Some(at("10:04:50"));
        assert_eq!((ended, judgement.heard_from), (Some(CollectionOutage { until, ..outage }), until));
    }
}
