//! What was sent and when factors changed. The oracle takes its expectations from these books and
//! not from the system.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use chrono::{DateTime, Utc};
use uuid::Uuid;

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

/// A factor of a client and the time for which it applied.
#[derive(Debug, Clone, Copy)]
pub struct Span {
    /// In ten-thousandths.
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
}

impl Books {
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

    /// Whether `client` may have been missing while `report` was recorded.
    pub fn may_be_missing(&self, report: &Report, client: i32) -> bool {
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
