//! What becomes of a server, by when it was heard.

use chrono::{DateTime, TimeDelta, Utc};

use super::node::NodeServerStatus;
use super::node_log::{ByHand, ServerLog, Signs};
use super::node_status::Judgement;
use NodeServerStatus::{Offline, Online};

/// A server, when it is to be judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watched {
    /// The server.
    pub node_server_id: i32,
    /// Its name.
    pub name: String,
    /// Its status.
    pub status: NodeServerStatus,
    /// Its last sign of life.
    pub last_online_at: Option<DateTime<Utc>>,
    /// What its log says last.
    pub logged: Option<Logged>,
}

/// The open interval of a server's log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Logged {
    /// The status.
    pub status: NodeServerStatus,
    /// Since when.
    pub since: DateTime<Utc>,
    /// When that was noticed.
    pub detected_at: DateTime<Utc>,
}

impl Watched {
    /// What the server becomes, and since when.
    ///
    /// A server that was marked offline comes back with a sign of life from after it was marked.
    /// Reports of a server that is gone are all from before that, however many are late: they do
    /// not bring it back. Nor does a late one by itself, which would be past the timeout soon: that
    /// takes another one. Of a server that an administrator brought back silence counts since then;
    /// one that was put down as online past the log is first logged.
    #[must_use]
    pub fn judge(&self, judgement: &Judgement) -> Option<(NodeServerStatus, DateTime<Utc>)> {
        match (self.status, self.last_online_at) {
            (Online, last) => {
                let logged = self.logged.filter(|logged| logged.status == Online)?;
                let last = last.map_or(logged.since, |last| last.max(logged.since));
                judgement.is_silence(last).then_some((Offline, last))
            }
            (Offline, Some(last)) => {
                let is_recent = last >= judgement.offline_before;
                let is_news = self.logged.is_none_or(|logged| last >= logged.detected_at);
                let is_enough = last >= judgement.fresh_from || self.was_heard_before(last);
                (is_recent && is_news && is_enough).then_some((Online, last))
            }
            _ => None,
        }
    }

    /// Whether another sign of life came since the server was marked: its log was corrected, and
    /// the outage begins with that sign. Of a server without a log nobody was told that it is gone.
    fn was_heard_before(&self, last: DateTime<Utc>) -> bool {
        self.logged
            .is_none_or(|logged| logged.since > logged.detected_at && logged.since < last)
    }

    /// What the server is when it comes out of maintenance. While nobody can be heard, silence says
    /// nothing: it is online until there is a judgement.
    #[must_use]
    pub fn after_maintenance(&self, judgement: Option<&Judgement>) -> NodeServerStatus {
        let is_silence = |last| judgement.is_some_and(|judgement| judgement.is_silence(last));
        if self.last_online_at.is_none_or(is_silence) {
            Offline
        } else {
            Online
        }
    }

    fn edge(&self, from: NodeServerStatus, to: NodeServerStatus, since: DateTime<Utc>) -> Edge {
        Edge {
            node_server_id: self.node_server_id,
            name: self.name.clone(),
            from,
            to,
            since,
        }
    }

    /// Whether the log has to learn what the server is: it was changed past the log, or the log has
    /// not begun. The log of a server that is simply new begins when it is first heard: until then
    /// nothing is known of it.
    #[must_use]
    pub fn is_news_to_the_log(&self) -> bool {
        let is_new = self.status == Offline && self.last_online_at.is_none();
        self.logged
            .map_or(!is_new, |logged| logged.status != self.status)
    }
}

/// Judges a server, tells its log, and mends that by signs of life that came late. Without a
/// judgement the server stays what it is.
pub fn refresh(
    server: &Watched,
    log: &mut ServerLog,
    judgement: Option<&Judgement>,
    late: &[Signs],
    (timeout, now): (TimeDelta, DateTime<Utc>),
) -> Option<Edge> {
    let judged = judgement.and_then(|judgement| server.judge(judgement));
    match judged {
        Some((to, since)) => log.change((server.status, to), since, now, None),
        None if server.is_news_to_the_log() => {
            let from = server.logged.map_or(server.status, |logged| logged.status);
            log.change((from, server.status), now, now, None);
        }
        None => {}
    }
    log.mend(late, timeout, now);
    let (to, noticed) = judged?;
    // Of an outage that in hindsight was none, the end is the sign of life that said so.
    let began = server.logged.map(|logged| logged.since);
    let first = log
        .last()
        .map(|spell| spell.since)
        .filter(|since| to == Online && began < Some(*since));
    Some(server.edge(server.status, to, first.unwrap_or(noticed)))
}

/// Makes of a server what an administrator says, and tells its log; answers that change, last, and
/// before it the one that the job had yet to notice.
pub fn set_by_hand(
    server: &Watched,
    log: &mut ServerLog,
    judgement: Option<&Judgement>,
    (to, now): (NodeServerStatus, DateTime<Utc>),
    by: ByHand,
) -> Vec<Edge> {
    let unnoticed = judgement.and_then(|judgement| server.judge(judgement));
    if let Some((status, since)) = unnoticed {
        log.change((server.status, status), since, now, None);
    }
    let from = unnoticed.map_or(server.status, |(status, _)| status);
    log.change((from, to), now, now, Some(by));
    let unnoticed = unnoticed.map(|(status, since)| server.edge(server.status, status, since));
    unnoticed
        .into_iter()
        .chain([server.edge(from, to, now)])
        .collect()
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
    /// Since when: of an outage, the last sign of life; of its end, the first one.
    pub since: DateTime<Utc>,
}
