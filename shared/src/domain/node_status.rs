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
    /// Nobody was judged from here until `heard_from`.
    pub unjudged_from: Option<DateTime<Utc>>,
    /// What servers were meanwhile is settled, as far as is known.
    pub is_settled: bool,
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

    /// When the job did not run for longer, silence meanwhile says nothing: reports may wait in the
    /// queue.
    #[must_use]
    pub fn longest_pause(&self) -> TimeDelta {
        (self.offline_timeout / 2).max(Self::FEW_RUNS)
    }
}

impl From<NodeHealthCheck> for Patience {
    fn from(check: NodeHealthCheck) -> Self {
        let time = |time: Duration| TimeDelta::from_std(time).unwrap_or(TimeDelta::MAX);
        Self {
            offline_timeout: time(check.offline_timeout),
        }
    }
}

/// By which moments servers are judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Judgement {
    /// A server last heard before this is silent.
    pub offline_before: DateTime<Utc>,
    /// A sign of life from before this is late.
    pub fresh_from: DateTime<Utc>,
    /// Silence counts from here at the earliest.
    pub heard_from: Option<DateTime<Utc>>,
    /// Nobody was judged from here until `heard_from`.
    pub unjudged_from: Option<DateTime<Utc>>,
}

impl Judgement {
    /// Whether a server that was last heard at `last` was silent for too long.
    #[must_use]
    pub fn is_silence(&self, last: DateTime<Utc>) -> bool {
        self.heard_from.map_or(last, |from| last.max(from)) < self.offline_before
    }

    /// The time in which nobody was judged, once what was kept of it had the timeout to come.
    #[must_use]
    pub fn unjudged(&self) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
        let until = self
            .heard_from
            .filter(|until| *until < self.offline_before)?;
        Some((self.unjudged_from?, until))
    }
}

/// What to do about the fleet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// No server was heard for longer than the timeout: the collection is broken, and no server is
    /// judged.
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

/// Judges. Where a single server is online, silence is that server's outage: nobody else could be
/// heard.
///
/// Among several, silence is measured up to the last sign of life of any: when the collection
/// breaks, servers fall silent one after the other within a period of their reports, and none of
/// them is to blame.
#[must_use]
pub fn judge(heard: &Heard, patience: &Patience, now: DateTime<Utc>) -> Verdict {
    let timeout = patience.offline_timeout;
    let paused = heard
        .ran_at
        .is_none_or(|ran_at| now - ran_at > patience.longest_pause());
    let heard_from = if paused { Some(now) } else { heard.heard_from };
    let could_be_heard = heard.online > 1 && heard_from.is_none_or(|from| from < now - timeout);
    let silent = heard.last.filter(|last| *last < now - timeout);
    if let Some(since) = silent.filter(|_| could_be_heard || heard.outage_since.is_some()) {
        return Verdict::CollectionStopped {
            since,
            begins: heard.outage_since.is_none(),
        };
    }
    let listened_until = heard
        .last
        .filter(|_| heard.online > 1)
        .map_or(now, |last| last.min(now));
    let offline_before = listened_until - timeout;
    let unjudged_from = heard.outage_since.or(heard.ran_at.filter(|_| paused));
    let judgement = Judgement {
        offline_before,
        fresh_from: offline_before + timeout / 2,
        heard_from: if heard.outage_since.is_some() {
            Some(now)
        } else {
            heard_from
        },
        unjudged_from: [heard.unjudged_from, unjudged_from]
            .into_iter()
            .flatten()
            .min(),
    };
    Verdict::Judge {
        resumed: heard.outage_since,
        judgement,
    }
}

/// From one sign of life until the next.
pub type Silence = (DateTime<Utc>, DateTime<Utc>);

/// Of a server's silences those that are its own: longer than the timeout even without the time in
/// which nobody at all was heard.
#[must_use]
pub fn own_silences(silences: &[Silence], of_all: &[Silence], timeout: TimeDelta) -> Vec<Silence> {
    let is_own = |(since, until): &&Silence| {
        let within = of_all
            .iter()
            .filter(|(from, to)| since <= from && to <= until);
        *until - *since - within.map(|(from, to)| *to - *from).sum::<TimeDelta>() > timeout
    };
    silences.iter().filter(is_own).copied().collect()
}

/// How long a server was in which status within a range, seconds. What was not recorded, or fell
/// into an outage of the collection, is unknown.
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
    #[expect(
        clippy::cast_precision_loss,
        clippy::as_conversions,
        reason = "seconds of a range of months are exact"
    )]
    pub fn availability(&self) -> Option<f64> {
        let known = self.online_seconds.checked_add(self.offline_seconds)?;
        (known > 0).then(|| self.online_seconds as f64 / known as f64)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const PATIENCE: Patience = Patience {
        offline_timeout: TimeDelta::minutes(5),
    };

    fn at(text: &str) -> DateTime<Utc> {
        format!("2026-03-10T{text}Z").parse().unwrap()
    }

    fn heard(online: i64, last: &str) -> Heard {
        Heard {
            online,
            last: Some(at(last)),
            ran_at: Some(at("10:04:00")),
            ..Heard::default()
        }
    }

    #[rstest]
    #[case::at_the_very_limit(heard(2, "10:00:00"), false)]
    #[case::a_moment_later(heard(2, "09:59:59"), true)]
    #[case::only_one_could_be_heard(heard(1, "08:00:00"), false)]
    #[case::never_heard(Heard { online: 5, ..Heard::default() }, false)]
    #[case::nobody_could_be_heard(Heard { ran_at: Some(at("09:55:00")), ..heard(2, "09:55:00") },
        false)]
    #[case::nobody_could_be_heard_until_lately(Heard { heard_from: Some(at("10:00:00")),
        ..heard(2, "09:50:00") }, false)]
    fn when_nobody_is_heard_the_collection_is_broken(#[case] heard: Heard, #[case] stopped: bool) {
        let verdict = judge(&heard, &PATIENCE, at("10:05:00"));
        assert_eq!(
            matches!(verdict, Verdict::CollectionStopped { begins: true, .. }),
            stopped
        );
    }

    #[rstest]
    #[case::every_minute(heard(2, "10:04:50"), None)]
    #[case::a_missed_run(Heard { ran_at: Some(at("10:02:30")), ..heard(2, "10:04:50") }, None)]
    #[case::a_pause(Heard { ran_at: Some(at("10:02:29")), ..heard(2, "10:04:50") },
        Some(at("10:05:00")))]
    #[case::the_first_run(Heard { ran_at: None, ..heard(2, "10:04:50") }, Some(at("10:05:00")))]
    #[case::collection_resumed(Heard { outage_since: Some(at("09:00:00")), ..heard(2,
        "10:04:50") }, Some(at("10:05:00")))]
    #[case::a_while_after(Heard { heard_from: Some(at("10:01:00")), ..heard(2, "10:04:50") },
        Some(at("10:01:00")))]
    fn silence_counts_from_when_servers_could_be_heard_again(
        #[case] heard: Heard,
        #[case] from: Option<DateTime<Utc>>,
    ) {
        let Verdict::Judge { judgement, .. } = judge(&heard, &PATIENCE, at("10:05:00")) else {
            panic!()
        };
        assert_eq!(judgement.heard_from, from);
    }

    #[rstest]
    #[case::of_several(heard(2, "10:01:00"), "09:56:00", "09:58:30")]
    #[case::of_one(heard(1, "10:01:00"), "10:00:00", "10:02:30")]
    #[case::whose_clock_is_ahead(heard(2, "10:06:00"), "10:00:00", "10:02:30")]
    fn silence_is_measured_up_to_the_last_sign_of_life(
        #[case] heard: Heard,
        #[case] before: &str,
        #[case] fresh: &str,
    ) {
        let judgement = judge(&heard, &PATIENCE, at("10:05:00"))
            .judgement()
            .unwrap();
        assert_eq!(
            (judgement.offline_before, judgement.fresh_from),
            (at(before), at(fresh))
        );
    }

    #[rstest]
    #[case::nothing(Heard { heard_from: Some(at("09:00:00")), ..heard(2, "10:04:50") }, None)]
    #[case::a_pause(Heard { ran_at: Some(at("09:58:00")), ..heard(2, "10:04:50") }, None)]
    #[case::that_was_long_enough_ago(
        Heard { heard_from: Some(at("09:59:00")), unjudged_from: Some(at("09:30:00")), ..heard(2,
            "10:04:50") },
        Some(("09:30:00", "09:59:00"))
    )]
    fn what_nobody_judged_is_looked_at_when_what_was_kept_of_it_has_come(
        #[case] heard: Heard,
        #[case] settled: Option<(&str, &str)>,
    ) {
        let judgement = judge(&heard, &PATIENCE, at("10:05:00"))
            .judgement()
            .unwrap();
        assert_eq!(
            judgement.unjudged(),
            settled.map(|(from, until)| (at(from), at(until)))
        );
    }

    #[rstest]
    #[case::all_of_it(&[], true)]
    #[case::but_for_a_while(&[("10:10:00", "10:20:00")], true)]
    #[case::but_for_nearly_all_of_it(&[("10:02:00", "10:20:00"), ("10:21:00", "10:28:00")], false)]
    #[case::elsewhere(&[("08:00:00", "10:00:00"), ("10:30:00", "11:00:00")], true)]
    fn a_silence_is_the_servers_where_others_were_heard(
        #[case] of_all: &[(&str, &str)],
        #[case] is_own: bool,
    ) {
        let of_all: Vec<Silence> = of_all.iter().map(|(from, to)| (at(from), at(to))).collect();
        let silence = (at("10:00:00"), at("10:30:00"));
        assert_eq!(
            own_silences(&[silence], &of_all, PATIENCE.offline_timeout) == [silence],
            is_own
        );
    }
}
