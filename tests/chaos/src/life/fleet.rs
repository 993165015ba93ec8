//! Creates, changes and archives servers and clients by calls.

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::{ArchivedServer, Server, any_factor};
use crate::asked::Asked;
use crate::calls::Call;
use crate::desk::Answer;
use crate::random::Random;
use crate::run::Run;

async fn ask(run: &Run, asked: Asked, random: &mut Random) -> Answer {
    Call::new(asked, random).make(run, random).await
}

/// Creates a server with one to three clients. `None` if a call was not answered.
async fn create_server(run: &Run, random: &mut Random) -> Option<Server> {
    let name = random.uuid().to_string();
    let answer = ask(run, Asked::CreateServer { name }, random).await;
    let mut server = Server {
        id: answer.number("/server/id")?,
        clients: Vec::new(),
        ghosts: Vec::new(),
    };
    for _ in 0..random.int(1..=3) {
        let client = create_client(run, server.id, random).await?;
        server.clients.push(client);
    }
    Some(server)
}

async fn create_client(run: &Run, server: i32, random: &mut Random) -> Option<i32> {
    let (name, factor) = (random.uuid().to_string(), any_factor(random));
    let asked = Asked::CreateClient {
        server,
        name,
        factor,
    };
    let answer = ask(run, asked, random).await;
    let id = answer.number("/client/id")?;
    run.ledger.open().factor_begins(id, factor);
    Some(id)
}

/// Puts a new server in the place of one that stops reporting, and returns the latter. `None` if
/// none can be replaced.
pub(super) async fn replace(run: &Run, random: &mut Random) -> Option<Server> {
    let old = run.cast().replaceable(random)?;
    let new = create_server(run, random).await?;
    let mut stopped = None;
    run.change_cast(|cast| {
        let is_old = |server: &Server| server.id == old.id;
        stopped = cast.servers.iter().find(|server| is_old(server)).cloned();
        cast.servers.retain(|server| !is_old(server));
        cast.servers.push(new);
    });
    stopped
}

/// Replaces a server, and archives it while its last reports are underway.
pub(super) async fn archive_server(run: &Run, random: &mut Random) {
    let Some(server) = replace(run, random).await else {
        return;
    };
    let clients = [server.clients.clone(), server.ghosts.clone()].concat();
    run.ledger.open().server_archive_begins(server.id, &clients);
    let answer = ask(run, Asked::ArchiveServer(server.id), random).await;
    let Some(at) = time(&answer.body, "/server/archived_at") else {
        return;
    };
    run.ledger.open().server_archived(server.id, &clients, at);
    if random.chance(300) {
        // This changes nothing.
        ask(run, Asked::ArchiveServer(server.id), random).await;
    }
    if random.chance(300) {
        // This must be refused.
        let name = random.uuid().to_string();
        let asked = Asked::CreateClient {
            server: server.id,
            name,
            factor: 0,
        };
        ask(run, asked, random).await;
    }
    run.change_cast(|cast| cast.archived.push(ArchivedServer { server, at }));
}

/// Adds a client to a server. Collectors name it from then on.
pub(super) async fn add_client(run: &Run, random: &mut Random) {
    let servers = run.cast().servers;
    let Some(server) = random.pick(&servers).map(|server| server.id) else {
        return;
    };
    if let Some(client) = create_client(run, server, random).await {
        run.change_cast(|cast| {
            for server in cast.servers.iter_mut().filter(|one| one.id == server) {
                server.clients.push(client);
            }
        });
    }
}

/// Archives a client that is not the oldest of its server. Reports continue to name it.
pub(super) async fn archive_client(run: &Run, random: &mut Random) {
    let Some(client) = take_younger_client(run, random) else {
        return;
    };
    run.ledger.open().client_archive_begins(client);
    let answer = ask(run, Asked::ArchiveClient(client), random).await;
    if let Some(at) = time(&answer.body, "/client/archived_at") {
        run.ledger.open().client_archived(client, at);
    }
    if random.chance(300) {
        ask(run, Asked::ArchiveClient(client), random).await;
    }
    if random.chance(300) {
        // An archived client cannot be changed.
        set_factor(run, client, random).await;
    }
}

/// Takes a client that is not the oldest of its server out of the clients that exist. Its collector
/// still names it now and then.
pub(super) fn take_younger_client(run: &Run, random: &mut Random) -> Option<i32> {
    let younger = |server: Server| server.clients.into_iter().skip(1);
    let clients: Vec<i32> = run.cast().servers.into_iter().flat_map(younger).collect();
    let client = random.pick(&clients).copied()?;
    run.change_cast(|cast| {
        let has_client = |server: &&mut Server| server.clients.contains(&client);
        for server in cast.servers.iter_mut().filter(has_client) {
            server.clients.retain(|&id| id != client);
            server.ghosts.push(client);
        }
    });
    Some(client)
}

/// Changes the factor of a client.
pub(super) async fn change_factor(run: &Run, random: &mut Random) {
    if let Some(client) = run.cast().client(random) {
        set_factor(run, client, random).await;
    }
}

async fn set_factor(run: &Run, client: i32, random: &mut Random) {
    let shown = ask(run, Asked::ShowClient(client), random).await;
    let Some(revision) = shown.number::<i64>("/client/revision") else {
        return;
    };
    let factor = any_factor(random);
    run.ledger.open().factor_begins(client, factor);
    let id = client;
    let is_changed = update(run, Asked::UpdateClient { id, factor }, revision, random).await;
    let mut books = run.ledger.open();
    if is_changed {
        books.factor_changed(client);
    } else {
        books.factor_refused(client);
    }
}

/// Renames a server, sometimes to its name.
pub(super) async fn rename_server(run: &Run, random: &mut Random) {
    let servers = run.cast().servers;
    let Some(id) = random.pick(&servers).map(|server| server.id) else {
        return;
    };
    let shown = ask(run, Asked::ShowServer(id), random).await;
    let (Some(revision), Some(old)) = (
        shown.number::<i64>("/revision"),
        shown.body.pointer("/server/name").and_then(Value::as_str),
    ) else {
        return;
    };
    let name = if random.chance(200) {
        old.to_owned()
    } else {
        random.uuid().to_string()
    };
    update(run, Asked::UpdateServer { id, name }, revision, random).await;
}

/// Makes an update of `revision`, sometimes after one of an older revision, which must be refused.
/// Returns whether an update was accepted.
async fn update(run: &Run, asked: Asked, revision: i64, random: &mut Random) -> bool {
    if random.chance(150) {
        let stale = Call::update(asked.clone(), revision - 1, random);
        if stale.make(run, random).await.is_success() {
            run.finding("an update of an older revision is accepted", || {
                format!("{stale:?}")
            });
            return true;
        }
    }
    let call = Call::update(asked, revision, random);
    call.make(run, random).await.is_success()
}

fn time(body: &Value, pointer: &str) -> Option<DateTime<Utc>> {
    body.pointer(pointer)?.as_str()?.parse().ok()
}
