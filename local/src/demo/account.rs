//! The simulator's account of the reports that it sent, as JSON lines. A line is appended before a
//! report is first sent, and another one after a send was acknowledged. A report without the second
//! line is *uncertain*: it may or may not have arrived, and the next run sends it again first.
//!
//! The file grows by about 70 bytes per usage line. The simulator that writes to the file holds a
//! lock on it.

use std::collections::HashMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::{Context, Result, bail};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::report::Report;
use crate::files::{private_folder, try_lock};

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Entry<'a> {
    Run {
        seed: u64,
        started_at: DateTime<Utc>,
    },
    Intent(std::borrow::Cow<'a, Report>),
    Sent {
        at: DateTime<Utc>,
        ids: Vec<Uuid>,
    },
}

/// An account that is open for writing.
#[derive(Debug)]
pub struct Account {
    file: File,
}

impl Account {
    /// Opens or creates the account at `path`. Also returns the uncertain reports, oldest first.
    ///
    /// Removes an incomplete last line, which a crash may leave behind. Its report was never sent.
    pub fn open(path: &Path) -> Result<(Self, Vec<Report>)> {
        if let Some(folder) = path.parent() {
            private_folder(folder)?;
        }
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(path)
            .with_context(|| format!("Cannot open {}", path.display()))?;
        if !try_lock(&file).context("Cannot lock the account")? {
            bail!("Another simulator is writing {}", path.display());
        }
        let book = read(path)?;
        file.set_len(book.bytes)
            .context("Cannot repair the account")?;
        let uncertain = book
            .reports
            .into_iter()
            .filter(|report| !book.sent.contains_key(&report.id))
            .collect();
        Ok((Self { file }, uncertain))
    }

    /// Records the start of a run.
    pub fn begin_run(&mut self, seed: u64, started_at: DateTime<Utc>) -> Result<()> {
        self.append(&[Entry::Run { seed, started_at }])
    }

    /// Records reports that are about to be sent for the first time. They are on the disk when this
    /// returns.
    pub fn intend<'r>(&mut self, reports: impl IntoIterator<Item = &'r Report>) -> Result<()> {
        let entries: Vec<Entry<'_>> = reports
            .into_iter()
            .map(|report| Entry::Intent(std::borrow::Cow::Borrowed(report)))
            .collect();
        if entries.is_empty() {
            return Ok(());
        }
        self.append(&entries)?;
        self.file.sync_data().context("Cannot write the account")
    }

    /// Records reports of which a send was acknowledged.
    pub fn sent(&mut self, ids: Vec<Uuid>, at: DateTime<Utc>) -> Result<()> {
        if ids.is_empty() {
            Ok(())
        } else {
            self.append(&[Entry::Sent { at, ids }])
        }
    }

    /// Appends in one write, so that a reader sees whole lines, except perhaps the last one.
    fn append(&mut self, entries: &[Entry<'_>]) -> Result<()> {
        let mut text = Vec::new();
        for entry in entries {
            serde_json::to_writer(&mut text, entry)?;
            text.push(b'\n');
        }
        self.file
            .write_all(&text)
            .context("Cannot write the account")
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
    /// Size of the complete lines.
    bytes: u64,
}

/// Reads an account. If it does not exist, the result is empty.
pub fn read(path: &Path) -> Result<Book> {
    let file = match File::open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Book::default()),
        file => file.with_context(|| format!("Cannot open {}", path.display()))?,
    };
    let mut reader = BufReader::with_capacity(1 << 20, file);
    let mut book = Book::default();
    let mut line = Vec::new();
    for number in 1_u64.. {
        line.clear();
        // A line without a line break is being written.
        let size = reader.read_until(b'\n', &mut line)?;
        if !line.ends_with(b"\n") {
            break;
        }
        book.bytes += u64::try_from(size)?;
        let entry = serde_json::from_slice(&line).with_context(|| {
            format!(
                "Line {number} of {} is not an account entry",
                path.display()
            )
        })?;
        book.enter(entry);
    }
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

/// Whether a simulator has the account at `path` open for writing.
pub fn is_being_written(path: &Path) -> Result<bool> {
    match File::open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error).with_context(|| format!("Cannot open {}", path.display())),
        Ok(file) => Ok(matches!(
            file.try_lock_shared(),
            Err(TryLockError::WouldBlock)
        )),
    }
}
