//! What was sent, and when factors changed: what the oracle knows without asking the system.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use chrono::{DateTime, Utc};
use uuid::Uuid;

/// A line of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Line {
    pub user: Uuid,
    /// The client that the line counts for, named in it or not.
    pub client: i32,
    pub upload: i64,
    pub download: i64,
}

/// A report.
#[derive(Debug, Clone)]
pub struct Report {
    pub server: i32,
    pub start: DateTime<Utc>,
    pub end: DateTime<Utc>,
    pub lines: Vec<Line>,
    /// When a function first got it.
    pub delivered: Option<Instant>,
    /// When a function first said that it has it.
    pub accepted: Option<Instant>,
}

/// A charge of another publisher.
#[derive(Debug, Clone, Copy)]
pub struct Charge {
    pub server: i32,
    pub client: Option<i32>,
    pub user: Uuid,
    pub time: DateTime<Utc>,
    pub upload: i64,
    pub download: i64,
}

/// A factor of a client, in ten-thousandths.
#[derive(Debug, Clone, Copy)]
pub struct Span {
    pub factor: i64,
    /// From when it may have been in force.
    pub from: Instant,
    /// Until when it may have been; `None` if it still is.
    pub until: Option<Instant>,
}

#[derive(Debug, Default)]
pub struct Books {
    pub reports: HashMap<Uuid, Report>,
    pub charges: HashMap<Uuid, Vec<Charge>>,
    pub factors: HashMap<i32, Vec<Span>>,
    /// Clients that are deleted, and from when on they may be missing.
    pub gone: HashMap<i32, Instant>,
    /// Bodies planted as poison, by what is wrong with them.
    pub poison: HashMap<String, &'static str>,
    pub lines: u64,
}

/// The books, shared by all who write them.
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
    /// A client's factor is about to become `factor`: from now on it may be either.
    pub fn factor_begins(&mut self, client: i32, factor: i64) {
        self.factors.entry(client).or_default().push(Span {
            factor,
            from: Instant::now(),
            until: None,
        });
    }

    /// The change is done: the factor before it is over.
    pub fn factor_settled(&mut self, client: i32) {
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

    /// A client is about to be deleted.
    pub fn client_goes(&mut self, client: i32) {
        self.gone.insert(client, Instant::now());
    }

    /// It is deleted: none of its factors is in force any more.
    pub fn client_gone(&mut self, client: i32) {
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
        self.gone
            .get(&client)
            .is_some_and(|gone| report.accepted.is_none_or(|accepted| *gone <= accepted))
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
