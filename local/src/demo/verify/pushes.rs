//! Compares pushes of nodes with what was recorded. The protocols have no id, so a push is known by
//! its content.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;

use anyhow::Result;
use chrono::{DateTime, Utc};
use sqlx::{Postgres, Transaction};
use uuid::Uuid;

use super::check::{self, Check};
use super::database::ReportRow;
use crate::demo::node::Program;
use crate::demo::node::account::{Book, Push, bytes};

/// User, client, upload and download of a recorded row.
pub(super) type Content = Vec<(Uuid, Option<i32>, i64, i64)>;

/// What the database has about nodes, other than their raw rows.
#[derive(Debug)]
pub(super) struct Nodes {
    /// Users by their numbers.
    users: HashMap<i32, Uuid>,
    /// Pushes that a later push may contain, according to the list of doubtful pushes.
    listed: HashSet<Uuid>,
}

pub(super) async fn read(tx: &mut Transaction<'static, Postgres>) -> Result<Nodes> {
    let users: Vec<(i32, Uuid)> =
        sqlx::query_as("/* verify.node_users */ select number, user_id from telecom.node_user")
            .fetch_all(&mut **tx)
            .await?;
    let listed: Vec<Uuid> = sqlx::query_scalar(
        "/* verify.doubtful_pushes */ select previous_push_id from telecom.doubtful_push
        where doubt = 'contains_previous'",
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(Nodes {
        users: users.into_iter().collect(),
        listed: listed.into_iter().collect(),
    })
}

/// What node software moved, lost and pushed twice, in bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Moved {
    /// Bytes that users moved.
    pub moved: i128,
    /// Those that the program dropped without a push that was accepted, by program.
    pub lost: BTreeMap<Program, i128>,
    /// Those that were accepted, and that the program then pushed again, by program.
    pub twice: BTreeMap<Program, i128>,
}

/// The result of the comparison.
pub(super) struct Compared {
    pub checks: Vec<Check>,
    pub moved: Moved,
    /// Number of recorded reports that are pushes of the account.
    pub matched: i128,
}

/// Compares the pushes of `book` with recorded reports that are not in the collectors' account.
/// `contents` has the rows of each, by the report's number. Pushes that ended before `due_before`
/// must have been recorded.
pub(super) fn compare(
    book: &Book,
    nodes: &Nodes,
    reports: &HashMap<i64, &ReportRow>,
    contents: HashMap<i64, Content>,
    due_before: DateTime<Utc>,
) -> Compared {
    let mut recorded: HashMap<(i32, Content), Vec<Uuid>> = HashMap::new();
    for (seq, mut content) in contents {
        if let Some(report) = reports.get(&seq) {
            content.sort_unstable();
            let key = (report.node_server_id, content);
            recorded.entry(key).or_default().push(report.report_id);
        }
    }
    let mut walk = Walk::default();
    for push in &book.pushes {
        let accepted = book.fates.get(&push.id).and_then(|fate| fate.accepted);
        let id = if accepted == Some(false) {
            None
        } else {
            let key = (push.server, content(push, nodes));
            recorded.get_mut(&key).and_then(Vec::pop)
        };
        walk.add(book, push, id, due_before);
    }
    walk.finish(nodes)
}

/// The rows that a push should be recorded with.
fn content(push: &Push, nodes: &Nodes) -> Content {
    let row = |(number, [upload, download]): (&i32, &[i64; 2])| {
        let user = nodes.users.get(number).copied().unwrap_or_default();
        (user, Some(push.node), *upload, *download)
    };
    let mut content: Content = push.rows.iter().map(row).collect();
    content.sort_unstable();
    content
}

/// The state while pushes are read in their order.
#[derive(Default)]
struct Walk {
    moved: Moved,
    missing: Vec<String>,
    recorded: i128,
    recorded_bytes: i128,
    /// What each node still has to push, in bytes.
    waiting: HashMap<i32, i128>,
    /// Bytes of pushes that were accepted and may be recorded later.
    in_progress: i128,
    /// The recorded push of each node that its next one contains.
    contained: HashMap<i32, Uuid>,
    /// Recorded pushes whose traffic was recorded again.
    again: Vec<Uuid>,
}

impl Walk {
    /// Adds a push, which was recorded under `id` if at all.
    fn add(&mut self, book: &Book, push: &Push, id: Option<Uuid>, due_before: DateTime<Utc>) {
        let fate = book.fates.get(&push.id);
        let left = bytes(&book.left(push));
        let (rows, during) = (bytes(&push.rows), fate.map_or(0, |fate| bytes(&fate.moved)));
        // What is uncertain was accepted if it is recorded.
        let is_due = fate.is_some_and(|fate| fate.at < due_before);
        let known = fate.and_then(|fate| fate.accepted);
        let accepted = known.unwrap_or(id.is_some());
        let kept = left > 0;
        let pushed = if accepted { rows } else { 0 };
        let twice = if accepted && kept { rows } else { 0 };
        self.moved.moved += bytes(&push.moved) + during;
        *self.moved.lost.entry(push.program).or_default() += rows + during - left - pushed + twice;
        *self.moved.twice.entry(push.program).or_default() += twice;
        self.waiting.insert(push.node, left);
        if let Some(id) = id {
            self.recorded += 1;
            self.recorded_bytes += rows;
            self.again.extend(self.contained.remove(&push.node));
            if kept {
                self.contained.insert(push.node, id);
            }
        } else if accepted && !is_due {
            self.in_progress += rows;
        } else if accepted {
            self.missing
                .push(format!("push {} of node {}", push.id, push.node));
        }
    }

    fn finish(self, nodes: &Nodes) -> Compared {
        let Moved { moved, lost, twice } = &self.moved;
        let [lost, twice]: [i128; 2] = [lost, twice].map(|bytes| bytes.values().sum());
        let waiting: i128 = self.waiting.values().sum();
        let expected = moved - lost + twice - waiting - self.in_progress;
        let what = "node bytes moved, not lost, and pushed twice";
        let balance = Check::equal(what, expected, self.recorded_bytes);
        let unlisted = self.again.iter().filter(|id| !nodes.listed.contains(id));
        let unlisted: Vec<String> = unlisted.map(|id| format!("report {id}")).collect();
        let listed = check::count(self.again.len() - unlisted.len());
        Compared {
            checks: vec![
                Check::some_missing("node pushes recorded", self.recorded, self.missing),
                balance,
                Check::some_missing("… billed twice and listed as doubtful", listed, unlisted),
            ],
            moved: self.moved,
            matched: self.recorded,
        }
    }
}

impl fmt::Display for Moved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "Users moved {} bytes through nodes. Their protocols lost or repeated:",
            check::grouped(self.moved)
        )?;
        for program in Program::ALL {
            let [lost, twice] = [&self.lost, &self.twice]
                .map(|bytes| check::grouped(bytes.get(&program).copied().unwrap_or_default()));
            if [lost.as_str(), twice.as_str()] != ["0", "0"] {
                let name = program.name();
                writeln!(
                    f,
                    "  {name:<20} {lost:>18} bytes lost {twice:>18} billed twice"
                )?;
            }
        }
        Ok(())
    }
}
