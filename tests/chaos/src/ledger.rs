//! What was sent and asked, what was answered, and when factors changed. The oracle takes its
//! expectations from these books and not from the system.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use chrono::{DateTime, Utc};
use serde_json::Value;
use uuid::Uuid;

use crate::asked::{Asked, NewOrder};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Line {
    pub user: Uuid,
    /// The client that the line counts for, whether the line names it or not.
    pub client: i32,
    pub upload: i64,
    pub download: i64,
}

#[derive(Debug, Clone)]
pub struct Report {
    pub server: i32,
    pub start: DateTime<Utc>,
    pub end: DateTime<Utc>,
    pub lines: Vec<Line>,
    /// Whether a node pushed it. The period of a push begins with the push before.
    pub is_push: bool,
    /// Id of a push with the same content. One of the two is recorded with lines.
    pub repeat: Option<Uuid>,
    /// When the report was first delivered to a function.
    pub delivered: Option<Instant>,
    /// When a function first acknowledged the report.
    pub accepted: Option<Instant>,
}

/// A charge sent by another publisher.
#[derive(Debug, Clone, Copy)]
pub struct Charge {
    pub server: i32,
    pub client: Option<i32>,
    pub user: Uuid,
    pub time: DateTime<Utc>,
    pub upload: i64,
    pub download: i64,
}

/// An order that was sent to the queue or delivered by a call.
#[derive(Debug, Clone, Copy)]
pub struct Order {
    pub what: NewOrder,
    /// When a function first acknowledged the order.
    pub accepted: Option<Instant>,
    /// When its cancellation was first sent.
    pub cancelled: Option<Instant>,
}

/// A change that was asked for, and its answer.
#[derive(Debug, Clone)]
pub struct Answered {
    pub asked: Asked,
    /// The revision that an update named.
    pub revision: Option<i64>,
    /// When the call began, by the machine's clock.
    pub began_at: DateTime<Utc>,
    /// HTTP status. 0 if the call was never answered.
    pub status: u16,
    pub body: Value,
}

/// The archiving of a server or a client.
#[derive(Debug, Clone, Copy)]
pub struct Archive {
    /// When it may have been archived at the earliest.
    pub began: Instant,
    /// When it was archived at the latest. `None` before the answer.
    pub answered: Option<Instant>,
    /// Periods that begin from then on are refused. `None` before the answer.
    pub at: Option<DateTime<Utc>>,
}

/// A factor of a client and the time for which it applied.
#[derive(Debug, Clone, Copy)]
pub struct Span {
    /// The factor in ten-thousandths.
    pub factor: i64,
    /// When the factor came into force at the earliest.
    pub from: Instant,
    /// When the factor ended at the latest. `None` if it is still in force.
    pub until: Option<Instant>,
}

#[derive(Debug, Default)]
pub struct Books {
    pub reports: HashMap<Uuid, Report>,
    pub charges: HashMap<Uuid, Vec<Charge>>,
    pub factors: HashMap<i32, Vec<Span>>,
    /// Deleted clients, and the earliest time of their deletion.
    pub deleted: HashMap<i32, Instant>,
    pub orders: HashMap<Uuid, Order>,
    pub answered: Vec<Answered>,
    /// Servers that were deleted by hand, with their clients.
    pub deleted_servers: HashMap<i32, Vec<i32>>,
    pub archived_servers: HashMap<i32, Archive>,
    pub archived_clients: HashMap<i32, Archive>,
    /// Bodies of planted poison messages, and what is wrong with each.
    pub poison: HashMap<String, &'static str>,
    pub lines: u64,
}

/// The books, shared by all parts of a run.
#[derive(Debug, Default)]
pub struct Ledger(Mutex<Books>);

impl Ledger {
    pub fn open(&self) -> MutexGuard<'_, Books> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn delivered(&self, report: Uuid) {
        if let Some(report) = self.open().reports.get_mut(&report) {
            report.delivered.get_or_insert_with(Instant::now);
        }
    }

    pub fn accepted(&self, report: Uuid) {
        if let Some(report) = self.open().reports.get_mut(&report) {
            report.accepted.get_or_insert_with(Instant::now);
        }
    }

    /// Records that a function acknowledged an order.
    pub fn order_accepted(&self, order: Uuid) {
        if let Some(order) = self.open().orders.get_mut(&order) {
            order.accepted.get_or_insert_with(Instant::now);
        }
    }

    /// Records that the cancellation of an order is about to be sent.
    pub fn order_cancelled(&self, order: Uuid) {
        if let Some(order) = self.open().orders.get_mut(&order) {
            order.cancelled.get_or_insert_with(Instant::now);
        }
    }
}

impl Archive {
    fn begins() -> Self {
        Self {
            began: Instant::now(),
            answered: None,
            at: None,
        }
    }

    fn answered(&mut self, at: DateTime<Utc>) {
        self.answered = Some(Instant::now());
        self.at = Some(at);
    }

    /// Whether `report` may have been recorded while this was archived for its period.
    fn may_concern(&self, report: &Report) -> bool {
        self.at.is_none_or(|at| at <= report.start)
            && report
                .accepted
                .is_none_or(|accepted| self.began <= accepted)
    }

    /// Whether `report` cannot have been recorded before this was archived for its period.
    fn must_concern(&self, report: &Report) -> bool {
        let is_later = |answered| report.delivered.is_some_and(|first| answered < first);
        self.at.is_some_and(|at| at <= report.start) && self.answered.is_some_and(is_later)
    }
}

impl Books {
    /// The changes that were accepted.
    pub fn accepted(&self) -> impl Iterator<Item = &Answered> {
        let is_accepted = |call: &&Answered| (200..300).contains(&call.status);
        self.answered.iter().filter(is_accepted)
    }

    /// Whether a server was deleted by hand.
    pub fn is_server_deleted(&self, server: i32) -> bool {
        self.deleted_servers.contains_key(&server)
    }

    /// Whether a client was deleted by hand, alone or with its server.
    pub fn is_client_deleted(&self, client: i32) -> bool {
        let mut with_servers = self.deleted_servers.values().flatten();
        self.deleted.contains_key(&client) || with_servers.any(|one| *one == client)
    }

    /// Records that a client's factor is about to become `factor`. From now on, the old or the new
    /// factor may be in force.
    pub fn factor_begins(&mut self, client: i32, factor: i64) {
        self.factors.entry(client).or_default().push(Span {
            factor,
            from: Instant::now(),
            until: None,
        });
    }

    /// Records that the change is committed, so the previous factor has ended.
    pub fn factor_changed(&mut self, client: i32) {
        let spans = self.factors.entry(client).or_default();
        let before = spans.len().saturating_sub(1);
        for span in spans
            .iter_mut()
            .take(before)
            .filter(|span| span.until.is_none())
        {
            span.until = Some(Instant::now());
        }
    }

    /// Records that the last change of a client's factor was refused.
    pub fn factor_refused(&mut self, client: i32) {
        self.factors.entry(client).or_default().pop();
    }

    /// Records that a server and its clients are about to be archived.
    pub fn server_archive_begins(&mut self, server: i32, clients: &[i32]) {
        let begins = |_: &i32| Archive::begins();
        self.archived_servers
            .entry(server)
            .or_insert_with_key(begins);
        for &client in clients {
            self.client_archive_begins(client);
        }
    }

    /// Records since when a server and its clients are archived.
    pub fn server_archived(&mut self, server: i32, clients: &[i32], at: DateTime<Utc>) {
        if let Some(archive) = self.archived_servers.get_mut(&server) {
            archive.answered(at);
        }
        for &client in clients {
            self.client_archived(client, at);
        }
    }

    /// Records that a client is about to be archived.
    pub fn client_archive_begins(&mut self, client: i32) {
        let begins = |_: &i32| Archive::begins();
        self.archived_clients
            .entry(client)
            .or_insert_with_key(begins);
    }

    /// Records since when a client is archived. A client that was archived before stays as it is.
    pub fn client_archived(&mut self, client: i32, at: DateTime<Utc>) {
        if let Some(archive) = self.archived_clients.get_mut(&client)
            && archive.at.is_none()
        {
            archive.answered(at);
        }
    }

    /// Whether `report` may have been refused because its server was archived.
    pub fn may_be_refused(&self, report: &Report) -> bool {
        let archive = self.archived_servers.get(&report.server);
        report.accepted.is_none() && archive.is_some_and(|archive| archive.may_concern(report))
    }

    /// Whether `report` must have been refused because its server was archived.
    pub fn must_be_refused(&self, report: &Report) -> bool {
        let archive = self.archived_servers.get(&report.server);
        archive.is_some_and(|archive| archive.must_concern(report))
    }

    /// Whether a line of `report` for `client` must be quarantined, because the client is archived.
    pub fn must_be_aside(&self, report: &Report, client: i32) -> bool {
        let archive = self.archived_clients.get(&client);
        archive.is_some_and(|archive| archive.must_concern(report))
    }

    /// Records that a client is about to be deleted.
    pub fn client_deletion_begins(&mut self, client: i32) {
        self.deleted.insert(client, Instant::now());
    }

    /// Records that the client is deleted, so that none of its factors is in force.
    pub fn client_deleted(&mut self, client: i32) {
        for span in self
            .factors
            .entry(client)
            .or_default()
            .iter_mut()
            .filter(|span| span.until.is_none())
        {
            span.until = Some(Instant::now());
        }
    }

    /// Whether `client` may have been missing or archived while `report` was recorded.
    pub fn may_be_missing(&self, report: &Report, client: i32) -> bool {
        let archive = self.archived_clients.get(&client);
        if archive.is_some_and(|archive| archive.may_concern(report)) {
            return true;
        }
        self.deleted
            .get(&client)
            .is_some_and(|deleted| report.accepted.is_none_or(|accepted| *deleted <= accepted))
    }

    /// The factors that may have been in force while `report` was recorded.
    pub fn factors_of(&self, report: &Report, client: i32) -> Vec<i64> {
        let spans = self
            .factors
            .get(&client)
            .map(Vec::as_slice)
            .unwrap_or_default();
        let possible = |span: &&Span| {
            report.accepted.is_none_or(|accepted| span.from <= accepted)
                && report
                    .delivered
                    .is_none_or(|delivered| span.until.is_none_or(|until| until >= delivered))
        };
        spans
            .iter()
            .filter(possible)
            .map(|span| span.factor)
            .collect()
    }
}
