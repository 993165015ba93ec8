//! Each accepted change of an administrator has one audit entry, and each created or archived
//! server and client is there once.

use std::collections::{BTreeMap, HashMap, HashSet};

use anyhow::Result;
use serde_json::Value;
use sqlx::FromRow;

use super::amount;
use crate::asked::Asked;
use crate::ledger::{Answered, Books};
use crate::run::Run;

/// Ids of servers and clients that calls created are greater.
const BY_HAND: i32 = 1_000;

/// Action, kind of target, id of target. A client is archived with its server or alone.
type Entry = (String, String, String);

/// A server, or a client with its server.
#[derive(Debug, FromRow)]
struct Node {
    id: i32,
    server: Option<i32>,
    is_archived: bool,
}

/// Compares the audit log and the fleet with the answers of the calls.
pub async fn check(run: &Run) -> Result<()> {
    let servers = nodes(
        run,
        "select id, null::integer as server,
        archived_at is not null as is_archived from telecom.node_server",
    )
    .await?;
    let clients = nodes(
        run,
        "select id, node_server_id as server,
        archived_at is not null as is_archived from telecom.node_client",
    )
    .await?;
    let entries = entries(run).await?;
    let books = run.ledger.open();
    let archived = Archived::of(&books);
    let those = created(&books, "/server/id", |id| books.is_server_deleted(id));
    check_nodes(run, "server", &servers, those, |node| {
        archived.servers.contains(&node.id)
    });
    let those = created(&books, "/client/id", |id| books.is_client_deleted(id));
    check_nodes(run, "client", &clients, those, |node| {
        archived.has_client(node)
    });
    let mut expected = expected(&books);
    // A client that was archived alone may have been deleted by hand with its server since.
    let with_servers = clients.iter().filter(|client| archived.has_client(client));
    let with_servers = with_servers.map(|client| client.id);
    for client in archived.clients.iter().copied().chain(with_servers) {
        expected.insert(entry(ARCHIVE, "node_client", &client), 1);
    }
    compare(run, &expected, &entries);
    Ok(())
}

async fn nodes(run: &Run, sql: &'static str) -> Result<Vec<Node>> {
    run.operator
        .until_done(async |connection| sqlx::query_as(sql).fetch_all(connection).await)
        .await
}

/// The action of entries about clients that were archived.
const ARCHIVE: &str = "archive";

async fn entries(run: &Run) -> Result<BTreeMap<Entry, u64>> {
    let entries: Vec<Entry> = run
        .operator
        .until_done(async |connection| {
            sqlx::query_as(
                "select case when target_kind = 'node_client' and action like 'Archive%'
                then 'archive' else action end, target_kind, target_id from telecom.audit_entry",
            )
            .fetch_all(connection)
            .await
        })
        .await?;
    let mut counts = BTreeMap::new();
    for entry in entries {
        *counts.entry(entry).or_default() += 1;
    }
    Ok(counts)
}

/// What accepted calls archived.
struct Archived {
    servers: HashSet<i32>,
    clients: HashSet<i32>,
}

impl Archived {
    fn of(books: &Books) -> Self {
        let (mut servers, mut clients) = (HashSet::new(), HashSet::new());
        for call in books.accepted() {
            match call.asked {
                Asked::ArchiveServer(id) => drop(servers.insert(id)),
                Asked::ArchiveClient(id) => drop(clients.insert(id)),
                _ => {}
            }
        }
        Self { servers, clients }
    }

    fn has_client(&self, client: &Node) -> bool {
        let is_server = |server| self.servers.contains(&server);
        self.clients.contains(&client.id) || client.server.is_some_and(is_server)
    }
}

/// Ids of the servers or clients that calls created and that were not deleted by hand.
fn created(books: &Books, pointer: &str, is_deleted: impl Fn(i32) -> bool) -> HashSet<i32> {
    let calls = books.accepted().filter(|call| match call.asked {
        Asked::CreateServer { .. } => pointer == "/server/id",
        Asked::CreateClient { .. } => pointer == "/client/id",
        _ => false,
    });
    let ids = calls.filter_map(|call| call.body.pointer(pointer)?.as_i64());
    let ids = ids.filter_map(|id| i32::try_from(id).ok());
    ids.filter(|id| !is_deleted(*id)).collect()
}

/// The servers or clients that were not inserted by hand must be those that calls created.
fn check_nodes(
    run: &Run,
    kind: &str,
    nodes: &[Node],
    mut created: HashSet<i32>,
    is_archived: impl Fn(&Node) -> bool,
) {
    for node in nodes {
        if !created.remove(&node.id) && node.id > BY_HAND {
            run.finding("a server or client is created twice", || {
                format!("{kind} {node:?}")
            });
        }
        if node.is_archived != is_archived(node) {
            run.finding(
                "a server or client is archived otherwise than asked",
                || format!("{kind} {node:?}"),
            );
        }
    }
    for id in created {
        run.finding("a created server or client is missing", || {
            format!("{kind} {id}")
        });
    }
}

fn entry(action: &str, kind: &str, id: &impl ToString) -> Entry {
    (action.to_owned(), kind.to_owned(), id.to_string())
}

/// The entries of accepted calls, except for archived clients.
fn expected(books: &Books) -> BTreeMap<Entry, u64> {
    let mut expected: BTreeMap<Entry, u64> = BTreeMap::new();
    let mut revisions: HashMap<Entry, i64> = HashMap::new();
    for call in books.accepted() {
        let Some((kind, id)) = target(call) else {
            continue;
        };
        let key = entry(call.asked.operation(), kind, &id);
        match call.asked {
            Asked::ArchiveServer(_) => drop(expected.insert(key, 1)),
            // The second entry is that of the completion.
            Asked::Extend { .. } => drop(expected.insert(key, 2)),
            Asked::UpdateServer { .. } | Asked::UpdateClient { .. } => {
                *revisions.entry(key).or_default() += raised_by(call);
            }
            _ => *expected.entry(key).or_default() += 1,
        }
    }
    for (key, count) in revisions.into_iter().filter(|(_, count)| *count > 0) {
        expected.insert(key, count.unsigned_abs());
    }
    expected
}

/// By how much an update raised the revision. 0 if it changed nothing.
fn raised_by(call: &Answered) -> i64 {
    let pointer = match call.asked {
        Asked::UpdateServer { .. } => "/revision",
        _ => "/client/revision",
    };
    let revision = call.body.pointer(pointer).and_then(Value::as_i64);
    revision.unwrap_or_default() - call.revision.unwrap_or_default()
}

/// The kind and id of the target of an entry. `None` if the call has no entry of its own.
fn target(call: &Answered) -> Option<(&'static str, String)> {
    let has_changed = call.body.get("changed").and_then(Value::as_bool);
    let is_changed = has_changed.unwrap_or_default();
    let number = |pointer: &str| Some(call.body.pointer(pointer)?.as_i64()?.to_string());
    Some(match call.asked {
        Asked::DeliverOrder { id, .. } | Asked::CancelOrder(id) if is_changed => {
            ("order", id.to_string())
        }
        Asked::CancelItem(id) if is_changed => ("package_item", id.to_string()),
        Asked::AdjustQuota { item, .. } => ("package_item", item.to_string()),
        Asked::Extend { .. } => {
            let id = call.body.get("extension_id")?.as_str()?;
            ("extension", id.to_owned())
        }
        Asked::CreateServer { .. } => ("node_server", number("/server/id")?),
        Asked::CreateClient { .. } => ("node_client", number("/client/id")?),
        Asked::ArchiveServer(id) | Asked::UpdateServer { id, .. } => {
            ("node_server", id.to_string())
        }
        Asked::UpdateClient { id, .. } => ("node_client", id.to_string()),
        _ => return None,
    })
}

fn compare(run: &Run, expected: &BTreeMap<Entry, u64>, entries: &BTreeMap<Entry, u64>) {
    let unexpected = entries.keys().filter(|key| !expected.contains_key(*key));
    for key in expected.keys().chain(unexpected) {
        let wanted = expected.get(key).copied().unwrap_or_default();
        let found = entries.get(key).copied().unwrap_or_default();
        let example = || format!("{key:?}: {found} of {wanted}");
        if found < wanted {
            run.findings_of("audit entries lost", amount(wanted - found), example);
        } else if found > wanted {
            run.findings_of("audit entries doubled", amount(found - wanted), example);
        }
    }
}
