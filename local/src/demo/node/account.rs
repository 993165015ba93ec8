//! The nodes' account of what users moved and what was pushed, as JSON lines: one before the first
//! attempt of a push, and one after the last. A push without the second line is *uncertain*: it may
//! or may not have arrived.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use anyhow::Result;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::program::{Counters, Program};
use crate::demo::journal::{self, Journal};

/// Upload and download in bytes, by the number of the user.
pub type Rows = BTreeMap<i32, [i64; 2]>;

/// A push, before its first attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Push {
    pub id: Uuid,
    pub server: i32,
    /// Id of the node client, which the protocols call the node.
    pub node: i32,
    pub program: Program,
    /// What users moved since the push before.
    pub moved: Rows,
    /// What the program pushes: all that it has counted.
    pub rows: Rows,
}

/// What became of a push.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fate {
    pub id: Uuid,
    /// When the last attempt ended.
    pub at: DateTime<Utc>,
    /// Whether an attempt was accepted. `None` if that is not known.
    pub accepted: Option<bool>,
    /// Whether the program got a response that it takes for success.
    pub acknowledged: bool,
    /// What users moved during the push.
    pub moved: Rows,
    /// What the program still has to push.
    pub left: Rows,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Entry<'a> {
    Push(Cow<'a, Push>),
    Fate(Cow<'a, Fate>),
}

/// An account that is open for writing.
#[derive(Debug)]
pub struct Account {
    journal: Journal,
}

impl Account {
    /// Opens or creates the account at `path`. Also returns its contents.
    pub fn open(path: &Path) -> Result<(Self, Book)> {
        let mut book = Book::default();
        let journal = Journal::open(path, |entry| book.enter(entry))?;
        Ok((Self { journal }, book))
    }

    /// Records a push before its first attempt. It is on the disk when this returns.
    pub fn intend(&mut self, push: &Push) -> Result<()> {
        self.journal.append(&[Entry::Push(Cow::Borrowed(push))])?;
        self.journal.sync()
    }

    pub fn ended(&mut self, fate: &Fate) -> Result<()> {
        self.journal.append(&[Entry::Fate(Cow::Borrowed(fate))])
    }
}

/// The contents of an account.
#[derive(Debug, Default)]
pub struct Book {
    /// In the order of the first attempts.
    pub pushes: Vec<Push>,
    pub fates: HashMap<Uuid, Fate>,
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
            Entry::Push(push) => self.pushes.push(push.into_owned()),
            Entry::Fate(fate) => {
                let fate = fate.into_owned();
                self.fates.insert(fate.id, fate);
            }
        }
    }

    /// The last push of each node, by client.
    #[must_use]
    pub fn last(&self) -> BTreeMap<i32, &Push> {
        self.pushes.iter().map(|push| (push.node, push)).collect()
    }

    /// What a node has to push after `push`. If the simulator was killed during the push, the
    /// program keeps what it keeps after a push without a response.
    #[must_use]
    pub fn left(&self, push: &Push) -> Rows {
        match self.fates.get(&push.id) {
            Some(fate) => fate.left.clone(),
            None if push.program.counters() == Counters::Cleared => Rows::new(),
            None => push.rows.clone(),
        }
    }
}

/// Adds rows to others.
pub fn add(rows: &mut Rows, others: &Rows) {
    for (user, bytes) in others {
        let sums = rows.entry(*user).or_default();
        sums.iter_mut()
            .zip(bytes)
            .for_each(|(sum, bytes)| *sum += bytes);
    }
}

/// The bytes of rows, in both directions.
#[must_use]
pub fn bytes(rows: &Rows) -> i128 {
    rows.values().flatten().copied().map(i128::from).sum()
}
