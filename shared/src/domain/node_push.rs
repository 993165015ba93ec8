//! Pushes of node software: the traffic that a node counted for each user since its last push.
//!
//! The protocols have neither ids nor times. A push without an answer comes again: at once with the
//! same rows, or with the next push, which then contains it. The first case is recognized by the
//! content and the time of arrival. The second one cannot be told from more traffic, so it is
//! recorded as a doubt.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use strum::IntoStaticStr;
use uuid::Uuid;

use super::traffic::Factor;

/// Traffic of one user in a push. In JSON, it is a list of these three numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "(i32, i64, i64)", into = "(i32, i64, i64)")]
pub struct PushRow {
    /// Number under which node software knows the user.
    pub user_number: i32,
    /// Bytes sent by the user.
    pub upload_bytes: i64,
    /// Bytes received by the user.
    pub download_bytes: i64,
}

impl From<(i32, i64, i64)> for PushRow {
    fn from((user_number, upload_bytes, download_bytes): (i32, i64, i64)) -> Self {
        Self {
            user_number,
            upload_bytes,
            download_bytes,
        }
    }
}

impl From<PushRow> for (i32, i64, i64) {
    fn from(row: PushRow) -> Self {
        (row.user_number, row.upload_bytes, row.download_bytes)
    }
}

/// A row of a push that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UnreadableRow {
    /// Key of the row, as the software sent it, at most 100 characters.
    pub key: String,
    /// Why the row could not be read.
    pub reason: String,
}

/// Where pushes come from. A push is compared only with others of its source.
///
/// The access is part of it, because several machines may serve one client, each with an access of
/// its own, and their pushes may be equal by chance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PushSource {
    /// Id of the node access.
    pub access_id: i64,
    /// The client that the access or the request names. `None` if neither names one.
    pub node_client_id: Option<i32>,
    /// Position in a push that was split into parts.
    pub part: i32,
}

/// A push that has arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ArrivedPush<'p> {
    /// Id of the message that carries the push. A message that is delivered again has the same id.
    pub push_id: Uuid,
    /// When the push arrived.
    pub arrived_at: DateTime<Utc>,
    /// How often the software pushes.
    pub interval: TimeDelta,
    /// Whether the software adds the traffic of an unanswered push to the next one.
    pub resends_larger: bool,
    /// Whether the push was accepted later than its sender waits.
    pub was_late: bool,
    /// Hash of the content.
    pub body_hash: &'p [u8],
    /// Rows by ascending user number.
    pub rows: &'p [PushRow],
    /// With which factor the rows are billed. `None` if they are not.
    pub factor: Option<Factor>,
}

/// A push that was recorded, and its repeats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RepeatedPush {
    /// The push that was recorded.
    pub push_id: Uuid,
    /// When it arrived first.
    pub first_arrived_at: DateTime<Utc>,
    /// When it arrived last.
    pub last_arrived_at: DateTime<Utc>,
    /// How often it arrived.
    pub arrivals: i32,
}

/// The newest push of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastPush {
    /// Id of the push.
    pub push_id: Uuid,
    /// When the push arrived.
    pub arrived_at: DateTime<Utc>,
    /// Whether it was accepted later than its sender waits.
    pub was_late: bool,
    /// Whether repeats of it have arrived.
    pub was_repeated: bool,
    /// With which factor its rows are billed. `None` if they are not.
    pub factor: Option<Factor>,
    /// Rows by ascending user number.
    pub rows: Vec<PushRow>,
}

/// What speaks for the doubt that a push contains an earlier one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Evidence {
    /// The earlier push arrived more than once, so its sender got no answer to an attempt.
    Repeated,
    /// The earlier push was accepted later than its sender waits.
    AnsweredLate,
    /// More than 1.5 intervals passed between the two, as if a push between them had failed.
    Gap,
    /// The push has at least as many bytes for each user of the earlier one.
    Larger,
}

/// A push that may contain an earlier one, whose rows would then be billed twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Containment {
    /// The push that may contain the other.
    pub push_id: Uuid,
    /// Its time of arrival.
    pub arrived_at: DateTime<Utc>,
    /// The push that may be contained.
    pub previous_push_id: Uuid,
    /// What speaks for it.
    pub evidence: Vec<Evidence>,
    /// The rows of the push that may be contained.
    pub rows: Vec<PushRow>,
    /// With which factor the containing push is billed. `None` if it is not.
    pub factor: Option<Factor>,
}

/// What a push is, compared with the others of its source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Arrival {
    /// A push to record, with the doubt about it.
    New(Option<Containment>),
    /// A repeat of the recorded push with this id. Its rows must not be recorded.
    Repeat(Uuid),
    /// A message that was delivered before. Its rows were recorded under its id.
    Redelivered,
}

/// The pushes of a source that the next one is compared with.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PushHistory {
    /// The newest push. `None` if the source has never pushed.
    pub last: Option<LastPush>,
    /// Whether the newest push must be stored.
    pub last_changed: bool,
    /// Pushes by the hash of their content.
    pub by_content: HashMap<Vec<u8>, Vec<RepeatedPush>>,
}

impl PushHistory {
    /// Compares a push with those that arrived before, and adds it to them. The order in which
    /// messages are delivered does not matter, but for doubts: a push is compared with the newest
    /// one only.
    pub fn arrive(&mut self, push: &ArrivedPush<'_>) -> Arrival {
        let known = self.by_content.entry(push.body_hash.to_vec()).or_default();
        if known.iter().any(|known| known.push_id == push.push_id) {
            return Arrival::Redelivered;
        }
        if let Some(earlier) = known.iter_mut().find(|known| known.is_repeated_by(push)) {
            earlier.add(push.arrived_at);
            let push_id = earlier.push_id;
            if let Some(last) = self.last.as_mut().filter(|last| last.push_id == push_id) {
                self.last_changed |= !last.was_repeated;
                last.was_repeated = true;
            }
            return Arrival::Repeat(push_id);
        }
        known.push(RepeatedPush {
            push_id: push.push_id,
            first_arrived_at: push.arrived_at,
            last_arrived_at: push.arrived_at,
            arrivals: 1,
        });
        Arrival::New(self.follow(push))
    }

    /// Compares a new push with the last one, and makes it the last one if it is newer. Pushes
    /// without readable rows are left out, because every push contains them.
    fn follow(&mut self, push: &ArrivedPush<'_>) -> Option<Containment> {
        if push.rows.is_empty() {
            return None;
        }
        let new = LastPush {
            push_id: push.push_id,
            arrived_at: push.arrived_at,
            was_late: push.was_late,
            was_repeated: false,
            factor: push.factor,
            rows: push.rows.to_vec(),
        };
        if let Some(last) = self.last.as_ref()
            && new.arrived_at <= last.arrived_at
        {
            return containment(&new, last, push);
        }
        let doubt = self
            .last
            .as_ref()
            .and_then(|last| containment(last, &new, push));
        self.last = Some(new);
        self.last_changed = true;
        doubt
    }
}

impl RepeatedPush {
    /// Whether a push with the same content is a repeat: it arrived less than 0.75 intervals before
    /// or after one of these. Attempts of software follow each other more closely, and real periods
    /// do not.
    fn is_repeated_by(&self, push: &ArrivedPush<'_>) -> bool {
        let is_within = |distance: TimeDelta| distance * 4 < push.interval * 3;
        is_within(self.first_arrived_at - push.arrived_at)
            && is_within(push.arrived_at - self.last_arrived_at)
    }

    fn add(&mut self, arrived_at: DateTime<Utc>) {
        self.first_arrived_at = self.first_arrived_at.min(arrived_at);
        self.last_arrived_at = self.last_arrived_at.max(arrived_at);
        self.arrivals = self.arrivals.saturating_add(1);
    }
}

/// The doubt that `later` contains `earlier`, two pushes of the source of `push`.
///
/// Software that restores its counters after an unanswered push, or clears them only after an
/// answer, sends a larger push next, and the answer may be lost without any sign of it here. Each
/// push of such software that is at least as large is therefore doubtful. Other software clears its
/// counters before it sends. What it sends next is new traffic, unless it is the same push again,
/// in an attempt that came too late to be known as a repeat.
fn containment(
    earlier: &LastPush,
    later: &LastPush,
    push: &ArrivedPush<'_>,
) -> Option<Containment> {
    if earlier.arrived_at == later.arrived_at || !contains(&later.rows, &earlier.rows) {
        return None;
    }
    let gap = later.arrived_at - earlier.arrived_at;
    let evidence = [
        (Evidence::Repeated, earlier.was_repeated),
        (Evidence::AnsweredLate, earlier.was_late),
        (Evidence::Gap, gap * 2 > push.interval * 3),
        (Evidence::Larger, true),
    ];
    let evidence: Vec<Evidence> = evidence
        .into_iter()
        .filter_map(|(evidence, is_there)| is_there.then_some(evidence))
        .collect();
    let unanswered = earlier.was_repeated || earlier.was_late;
    let is_doubtful = push.resends_larger || (unanswered && later.rows == earlier.rows);
    is_doubtful.then(|| Containment {
        push_id: later.push_id,
        arrived_at: later.arrived_at,
        previous_push_id: earlier.push_id,
        evidence,
        rows: earlier.rows.clone(),
        factor: later.factor,
    })
}

/// Whether `larger` has at least as many bytes as `smaller` for each user of `smaller`, in each
/// direction. Both are sorted by user number.
fn contains(larger: &[PushRow], smaller: &[PushRow]) -> bool {
    let mut rest = larger.iter();
    smaller.iter().all(|row| {
        rest.by_ref()
            .find(|other| other.user_number >= row.user_number)
            .is_some_and(|other| {
                other.user_number == row.user_number
                    && other.upload_bytes >= row.upload_bytes
                    && other.download_bytes >= row.download_bytes
            })
    })
}

#[cfg(test)]
mod tests;
