//! The simulator's account of the reports that it sent, as JSON lines. A line is appended before a
//! report is first sent, and another one after a send was acknowledged. A report without the second
//! line is *uncertain*: it may or may not have arrived, and the next run sends it again first.
//!
//! The file grows by about 70 bytes per usage line. The simulator that writes to the file holds a
//! lock on it.

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::Path;

use anyhow::Result;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use super::journal::is_being_written;
use super::journal::{self, Journal};
use super::report::Report;

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Entry<'a> {
    Run {
        seed: u64,
        started_at: DateTime<Utc>,
    },
    Intent(Cow<'a, Report>),
    Sent {
        at: DateTime<Utc>,
        ids: Vec<Uuid>,
    },
}

/// An account that is open for writing.
#[derive(Debug)]
pub struct Account {
    journal: Journal,
}

impl Account {
    /// Opens or creates the account at `path`. Also returns the uncertain reports, oldest first.
    ///
    /// A report whose line a crash cut off was never sent.
    pub fn open(path: &Path) -> Result<(Self, Vec<Report>)> {
        let mut book = Book::default();
        let journal = Journal::open(path, |entry| book.enter(entry))?;
        let uncertain = book
            .reports
            .into_iter()
            .filter(|report| !book.sent.contains_key(&report.id))
            .collect();
        Ok((Self { journal }, uncertain))
    }

    /// Records the start of a run.
    pub fn begin_run(&mut self, seed: u64, started_at: DateTime<Utc>) -> Result<()> {
        self.journal.append(&[Entry::Run { seed, started_at }])
    }

    /// Records reports that are about to be sent for the first time. They are on the disk when this
    /// returns.
    pub fn intend<'r>(&mut self, reports: impl IntoIterator<Item = &'r Report>) -> Result<()> {
        let entries: Vec<Entry<'_>> = reports
            .into_iter()
            .map(|report| Entry::Intent(Cow::Borrowed(report)))
            .collect();
        if entries.is_empty() {
            return Ok(());
        }
        self.journal.append(&entries)?;
        self.journal.sync()
    }

    /// Records reports of which a send was acknowledged.
    pub fn sent(&mut self, ids: Vec<Uuid>, at: DateTime<Utc>) -> Result<()> {
        if ids.is_empty() {
            Ok(())
        } else {
            self.journal.append(&[Entry::Sent { at, ids }])
        }
    }
}

/// The contents of an account.
#[derive(Debug, Default)]
pub struct Book {
    /// Every report that was sent or was about to be sent, in the order of the first sends.
    pub reports: Vec<Report>,
    /// Time of the first acknowledgement of each report.
    pub sent: HashMap<Uuid, DateTime<Utc>>,
    pub runs: usize,
}

/// Reads an account. If it does not exist, the result is empty.
pub fn read(path: &Path) -> Result<Book> {
    let mut book = Book::default();
    journal::read(path, |entry| book.enter(entry))?;
    Ok(book)
}

impl Book {
    fn enter(&mut self, entry: Entry<'_>) {
        match entry {
            Entry::Run { .. } => self.runs = self.runs.saturating_add(1),
            Entry::Intent(report) => self.reports.push(report.into_owned()),
            Entry::Sent { at, ids } => {
                for id in ids {
                    self.sent.entry(id).or_insert(at);
                }
            }
        }
    }
}
