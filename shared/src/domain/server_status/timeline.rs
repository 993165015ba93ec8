//! The timeline of a server's statuses: consecutive intervals, corrected when reports come late.

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use crate::domain::node::NodeServerStatus;
use NodeServerStatus::{Offline, Online};

/// Who changed a status by hand, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManualChange {
    /// User id of the administrator.
    pub actor: Uuid,
    /// Reason in the administrator's words.
    pub reason: String,
}

/// An interval in which a server had one status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusInterval {
    /// The row's id. `None` if the interval is not stored yet.
    pub id: Option<i64>,
    /// The status before. `None` if it is not known.
    pub from: Option<NodeServerStatus>,
    /// The status during the interval.
    pub to: NodeServerStatus,
    /// Start of the interval, inclusive.
    pub since: DateTime<Utc>,
    /// Exclusive. `None` if the interval is still open.
    pub until: Option<DateTime<Utc>>,
    /// When the change was detected.
    pub detected_at: DateTime<Utc>,
    /// `None` if the refresh job detected the change.
    pub by: Option<ManualChange>,
}

/// Heartbeats of one server that follow each other within the timeout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeartbeatRun {
    /// Time of the earliest heartbeat.
    pub first: DateTime<Utc>,
    /// Time of the latest heartbeat. Equal to `first` if there is only one.
    pub last: DateTime<Utc>,
}

/// The latest intervals of a server, or all of them, in ascending order. Each begins where the one
/// before it ends, and only the last one may be open.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StatusTimeline {
    /// Primary key of `telecom.node_server`.
    pub node_server_id: i32,
    /// Consecutive intervals. Empty if no status was recorded.
    pub intervals: Vec<StatusInterval>,
}

impl StatusTimeline {
    /// The timeline of a server, without intervals.
    #[must_use]
    pub fn of(node_server_id: i32) -> Self {
        Self {
            node_server_id,
            intervals: Vec::new(),
        }
    }

    /// Appends an open interval, and ends the interval that was open. The new interval does not
    /// begin before the one that it ends. `from` is the status that the server really had, which
    /// may have been changed without the timeline.
    pub fn append(&mut self, from: NodeServerStatus, mut next: StatusInterval) {
        let open = self
            .intervals
            .last_mut()
            .filter(|interval| interval.until.is_none());
        next.from = open.map(|open| {
            next.since = next.since.max(open.since);
            open.until = Some(next.since);
            from
        });
        self.intervals.push(next);
    }

    /// Corrects outages by heartbeats that fell into them and came late, given in ascending order.
    /// A server was offline only between two heartbeats that are further apart than `timeout`. What
    /// an administrator set stays as it is.
    pub fn apply_late_heartbeats(
        &mut self,
        late: &[HeartbeatRun],
        timeout: TimeDelta,
        now: DateTime<Utc>,
    ) {
        let mut corrected = Vec::with_capacity(self.intervals.len());
        let mut intervals = std::mem::take(&mut self.intervals).into_iter().peekable();
        while let Some(interval) = intervals.next() {
            if interval.to == Offline {
                let followed_by = intervals.peek().map(|next| next.to);
                split_outage(&mut corrected, &interval, followed_by, late, timeout, now);
            } else {
                push(&mut corrected, interval);
            }
        }
        self.intervals = corrected;
    }

    /// The latest interval. `None` if the timeline is empty.
    #[must_use]
    pub fn last(&self) -> Option<&StatusInterval> {
        self.intervals.last()
    }
}

impl StatusInterval {
    /// An interval that begins with a change detected at `detected_at`, and is open.
    #[must_use]
    pub fn open(to: NodeServerStatus, since: DateTime<Utc>, detected_at: DateTime<Utc>) -> Self {
        Self {
            id: None,
            from: None,
            to,
            since,
            until: None,
            detected_at,
            by: None,
        }
    }
}

/// Splits an outage at the heartbeats within it, and appends the parts. Whether the ends of the
/// outage are heartbeats, too, follows from the intervals beside it.
fn split_outage(
    intervals: &mut Vec<StatusInterval>,
    outage: &StatusInterval,
    followed_by: Option<NodeServerStatus>,
    late: &[HeartbeatRun],
    timeout: TimeDelta,
    now: DateTime<Utc>,
) {
    let mut offline = outage.clone();
    let mut at = outage.since;
    let mut is_heartbeat = intervals
        .last()
        .is_some_and(|before| before.to == Online && before.until == Some(at));
    let is_within = |heartbeat: DateTime<Utc>| {
        heartbeat > outage.since && outage.until.is_none_or(|until| heartbeat < until)
    };
    let online = |since, until| StatusInterval {
        until: Some(until),
        ..StatusInterval::open(Online, since, now)
    };
    for run in late.iter().filter(|run| is_within(run.first)) {
        if is_heartbeat && run.first - at <= timeout {
            push(intervals, online(at, run.first));
        } else {
            let part = StatusInterval {
                since: at,
                until: Some(run.first),
                ..offline.clone()
            };
            push(intervals, part);
            offline.id = None;
        }
        push(intervals, online(run.first, run.last));
        (at, is_heartbeat) = (run.last, true);
    }
    match outage.until {
        // A silence within the timeout is no outage, whatever ended it.
        Some(until) if followed_by.is_some() && is_heartbeat && until - at <= timeout => {
            push(intervals, online(at, until));
        }
        until => push(
            intervals,
            StatusInterval {
                since: at,
                until,
                ..offline
            },
        ),
    }
}

/// Appends an interval, or extends the last one if both are online and the new one was not set by
/// hand.
fn push(intervals: &mut Vec<StatusInterval>, mut interval: StatusInterval) {
    if let Some(last) = intervals.last_mut() {
        let continues = last.to == Online && interval.to == Online;
        if continues && last.until == Some(interval.since) && interval.by.is_none() {
            last.until = interval.until;
            return;
        }
        if last.to != interval.to {
            interval.from = Some(last.to);
        }
    }
    intervals.push(interval);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;
    use NodeServerStatus::Maintenance;

    const TIMEOUT: TimeDelta = TimeDelta::minutes(5);

    fn at(minutes: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::minutes(minutes)
    }

    /// A timeline of `(status, since)`, the last one open, from its beginning.
    fn timeline(intervals: &[(NodeServerStatus, i64)]) -> StatusTimeline {
        let mut log = StatusTimeline::default();
        let mut from = Offline;
        for &(to, since) in intervals {
            log.append(from, StatusInterval::open(to, at(since), at(since + 6)));
            from = to;
        }
        log
    }

    fn statuses(log: &StatusTimeline) -> Vec<(NodeServerStatus, i64)> {
        log.intervals
            .iter()
            .map(|interval| (interval.to, (interval.since - at(0)).num_minutes()))
            .collect()
    }

    fn heartbeats(minutes: &[i64]) -> Vec<HeartbeatRun> {
        minutes
            .iter()
            .map(|&minute| HeartbeatRun {
                first: at(minute),
                last: at(minute),
            })
            .collect()
    }

    const CUT_OFF: [(NodeServerStatus, i64); 3] = [(Online, 0), (Offline, 10), (Online, 40)];

    #[rstest]
    #[case::nothing_new(&CUT_OFF, &[], &CUT_OFF)]
    #[case::heartbeats_elsewhere(&CUT_OFF, &[5, 10, 40, 45], &CUT_OFF)]
    #[case::it_was_never_offline(&CUT_OFF, &[15, 20, 25, 30, 35], &[(Online, 0)])]
    #[case::it_went_later(&CUT_OFF, &[12, 15], &[(Online, 0), (Offline, 15), (Online, 40)])]
    #[case::it_came_back_sooner(&CUT_OFF, &[31, 35], &[(Online, 0), (Offline, 10), (Online, 31)])]
    #[case::it_was_back_for_a_while(
        &CUT_OFF, &[20, 25, 28], &[(Online, 0), (Offline, 10), (Online, 20), (Offline, 28),
            (Online, 40)]
    )]
    #[case::a_single_heartbeat(
        &CUT_OFF, &[25],
        &[(Online, 0), (Offline, 10), (Online, 25), (Offline, 25), (Online, 40)]
    )]
    #[case::it_is_open_and_began_later(&CUT_OFF[..2], &[12], &[(Online, 0), (Offline, 12)])]
    #[case::it_is_open_and_has_a_heartbeat(
        &CUT_OFF[..2], &[20], &[(Online, 0), (Offline, 10), (Online, 20), (Offline, 20)]
    )]
    #[case::before_maintenance_a_short_silence_is_no_outage(
        &[(Online, 0), (Offline, 10), (Maintenance, 20)], &[13, 16], &[(Online, 0), (Maintenance,
            20)]
    )]
    #[case::maintenance_stays(
        &[(Maintenance, 0), (Offline, 10), (Maintenance, 20), (Online, 30)], &[12, 25],
        &[(Maintenance, 0), (Offline, 10), (Online, 12), (Offline, 12), (Maintenance, 20),
            (Online, 30)]
    )]
    #[case::a_new_interval_begins_with_the_first_heartbeat(
        &CUT_OFF, &[38], &[(Online, 0), (Offline, 10), (Online, 38)]
    )]
    fn late_heartbeats_correct_the_timeline(
        #[case] before: &[(NodeServerStatus, i64)],
        #[case] late: &[i64],
        #[case] after: &[(NodeServerStatus, i64)],
    ) {
        let mut log = timeline(before);
        log.apply_late_heartbeats(&heartbeats(late), TIMEOUT, at(50));
        assert_eq!(statuses(&log), after);
        let last = log.last().unwrap();
        assert!(
            last.until.is_none()
                && log
                    .intervals
                    .iter()
                    .all(|interval| interval.from != Some(interval.to))
        );
        let corrected = log.clone();
        log.apply_late_heartbeats(&heartbeats(late), TIMEOUT, at(60));
        assert_eq!(log, corrected, "a repeat changes nothing");
    }

    #[test]
    fn a_change_past_the_timeline_is_appended_with_the_real_status() {
        let mut log = timeline(&[(Online, 0)]);
        let by = Some(ManualChange {
            actor: Uuid::nil(),
            reason: "disk".into(),
        });
        let interval = StatusInterval {
            by: by.clone(),
            ..StatusInterval::open(Online, at(10), at(10))
        };
        log.append(Offline, interval);
        let last = log.last().unwrap();
        assert_eq!((last.from, last.to, &last.by), (Some(Offline), Online, &by));
        log.apply_late_heartbeats(&[], TIMEOUT, at(20));
        assert_eq!(log.last().unwrap().by, by);
    }

    proptest! {
        /// However late, in whatever order and in however many deliveries reports come: in the end
        /// the timeline says what the server did.
        #[test]
        fn in_the_end_the_timeline_is_what_happened(
            alive in prop::collection::btree_set(1_i64..240, 1..60),
            order in any::<prop::sample::Index>(),
            deliveries in 1_usize..5,
        ) {
            let mut late: Vec<i64> = alive.iter().copied().collect();
            let len = late.len();
            late.rotate_left(order.index(len));
            let mut log = timeline(&[(Online, -10), (Offline, 0), (Online, 240)]);
            for delivery in late.chunks(len.div_ceil(deliveries)) {
                let mut minutes = delivery.to_vec();
                minutes.sort_unstable();
                log.apply_late_heartbeats(&heartbeats(&minutes), TIMEOUT, at(300));
            }
            let ends: Vec<i64> =
                std::iter::once(0).chain(alive).chain(std::iter::once(240)).collect();
            let truth: Vec<(i64, i64)> = ends.windows(2).map(|w| (w[0], w[1])).filter(|(a,
                b)| b - a > 5).collect();
            let offline: Vec<(i64, i64)> = log.intervals.iter()
                .filter(|interval| interval.to == Offline)
                .map(|interval| ((interval.since - at(0)).num_minutes(),
                    (interval.until.unwrap() - at(0)).num_minutes())).collect();
            prop_assert_eq!(offline, truth);
        }
    }
}
