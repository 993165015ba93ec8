//! How a server's status changes: by heartbeats, by silence, and by hand.

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;

use super::policy::SilenceCutoffs;
use super::timeline::{HeartbeatRun, ManualChange, StatusInterval, StatusTimeline};
use crate::domain::node::NodeServerStatus;
use NodeServerStatus::{Offline, Online};

/// A server as the refresh job reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerState {
    /// Primary key of `telecom.node_server`.
    pub node_server_id: i32,
    /// Name of the server, which the fact about a change contains.
    pub name: String,
    /// Status that the database holds.
    pub status: NodeServerStatus,
    /// The last heartbeat. `None` if the server never sent a report.
    pub last_heartbeat_at: Option<DateTime<Utc>>,
    /// The open interval of the timeline. `None` if the timeline is empty.
    pub open_interval: Option<OpenInterval>,
}

/// The open interval of a server's timeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenInterval {
    /// Status during the interval. The status of the server may have been changed since.
    pub status: NodeServerStatus,
    /// Beginning of the interval.
    pub since: DateTime<Utc>,
    /// When the change was detected.
    pub detected_at: DateTime<Utc>,
}

/// What all servers of one run are evaluated by.
#[derive(Debug, Clone, Copy)]
pub struct Evaluation {
    /// `None` if the collection is broken. Servers then keep their status.
    pub cutoffs: Option<SilenceCutoffs>,
    /// Silence after which a server is offline.
    pub offline_timeout: TimeDelta,
    /// The time of the run.
    pub now: DateTime<Utc>,
}

/// A change of a server's status.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StatusChange {
    /// Primary key of `telecom.node_server`.
    pub node_server_id: i32,
    /// Name of the server, which the fact about the change contains.
    pub name: String,
    /// Status of the server before `since`.
    pub from: NodeServerStatus,
    /// Status of the server from `since` on.
    #[serde(skip)]
    pub to: NodeServerStatus,
    /// The last heartbeat before an outage, or the first one after it.
    pub since: DateTime<Utc>,
}

impl ServerState {
    /// The status that the server changes to, and since when. `None` if the status stays.
    ///
    /// A server that was marked offline comes back with a heartbeat from after it was marked. Late
    /// reports from before that do not bring it back. A single late heartbeat from after it does
    /// not either, since the server would soon exceed the timeout again. That takes a second one.
    /// If an administrator ended the maintenance of a server, its silence counts from then on. A
    /// server that was set to online without the timeline is added to the timeline first.
    #[must_use]
    pub fn next_status(
        &self,
        cutoffs: &SilenceCutoffs,
    ) -> Option<(NodeServerStatus, DateTime<Utc>)> {
        match (self.status, self.last_heartbeat_at) {
            (Online, last) => {
                let open = self.open_interval.filter(|open| open.status == Online)?;
                let last = last.map_or(open.since, |last| last.max(open.since));
                cutoffs.is_silent(last).then_some((Offline, last))
            }
            (Offline, Some(last)) => {
                let is_recent = last >= cutoffs.offline_before;
                let is_after_mark = self
                    .open_interval
                    .is_none_or(|open| last >= open.detected_at);
                let is_enough = last >= cutoffs.fresh_from || self.has_earlier_heartbeat(last);
                (is_recent && is_after_mark && is_enough).then_some((Online, last))
            }
            _ => None,
        }
    }

    /// Whether another heartbeat came since the server was marked offline. If so, the timeline was
    /// corrected, and the outage begins with that heartbeat. A server without a timeline was never
    /// reported as offline.
    fn has_earlier_heartbeat(&self, last: DateTime<Utc>) -> bool {
        self.open_interval
            .is_none_or(|open| open.since > open.detected_at && open.since < last)
    }

    /// The status of the server when its maintenance ends. While the collection is broken, silence
    /// is no evidence, and the server is online until it is evaluated again.
    #[must_use]
    pub fn status_after_maintenance(&self, cutoffs: Option<&SilenceCutoffs>) -> NodeServerStatus {
        let is_silent = |last| cutoffs.is_some_and(|cutoffs| cutoffs.is_silent(last));
        if self.last_heartbeat_at.is_none_or(is_silent) {
            Offline
        } else {
            Online
        }
    }

    /// Whether the timeline does not show the current status: it was changed without the timeline,
    /// or the timeline is empty. The timeline of a new server begins with its first heartbeat.
    #[must_use]
    pub fn is_missing_from_timeline(&self) -> bool {
        let is_new = self.status == Offline && self.last_heartbeat_at.is_none();
        self.open_interval
            .map_or(!is_new, |open| open.status != self.status)
    }

    /// Updates the timeline by what is known of the server, then corrects it by late heartbeats.
    /// Returns the change of the server's status, if it changes.
    pub fn update(
        &self,
        timeline: &mut StatusTimeline,
        late: &[HeartbeatRun],
        by: &Evaluation,
    ) -> Option<StatusChange> {
        let next = by.cutoffs.and_then(|cutoffs| self.next_status(&cutoffs));
        if let Some((to, since)) = next {
            timeline.append(self.status, StatusInterval::open(to, since, by.now));
        } else if self.is_missing_from_timeline() {
            let from = self.open_interval.map_or(self.status, |open| open.status);
            timeline.append(from, StatusInterval::open(self.status, by.now, by.now));
        }
        timeline.apply_late_heartbeats(late, by.offline_timeout, by.now);
        let (to, since) = next?;
        // If late heartbeats erased the outage, the recovery is dated from the heartbeat that did.
        let outage_since = self.open_interval.map(|open| open.since);
        let recovered_at = timeline
            .last()
            .map(|interval| interval.since)
            .filter(|since| to == Online && outage_since < Some(*since));
        Some(self.change(self.status, to, recovered_at.unwrap_or(since)))
    }

    /// Sets the status that an administrator asked for. Returns that change last, and before it the
    /// change that the refresh job had not detected yet.
    pub fn set_by_hand(
        &self,
        timeline: &mut StatusTimeline,
        to: NodeServerStatus,
        by: &Evaluation,
        author: ManualChange,
    ) -> Vec<StatusChange> {
        let mut changes = Vec::with_capacity(2);
        let mut from = self.status;
        if let Some((status, since)) = by.cutoffs.and_then(|cutoffs| self.next_status(&cutoffs)) {
            timeline.append(from, StatusInterval::open(status, since, by.now));
            changes.push(self.change(from, status, since));
            from = status;
        }
        let interval = StatusInterval {
            by: Some(author),
            ..StatusInterval::open(to, by.now, by.now)
        };
        timeline.append(from, interval);
        changes.push(self.change(from, to, by.now));
        changes
    }

    fn change(
        &self,
        from: NodeServerStatus,
        to: NodeServerStatus,
        since: DateTime<Utc>,
    ) -> StatusChange {
        StatusChange {
            node_server_id: self.node_server_id,
            name: self.name.clone(),
            from,
            to,
            since,
        }
    }
}
