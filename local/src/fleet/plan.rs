//! Compares a file with the fleet and decides what to send.

use std::collections::HashSet;

use serde_json::Value;

use super::compare::compare;
use super::read::id_in;
use super::report::{Action, FieldChange, Invalid, Outcome, RowReport};
use super::step::{Fault, Pair, Place, Send, Step, fault};
use super::{Document, Existing, Fleet, Kind, Row};

/// How a file is compared and applied.
#[derive(Debug, Clone, Default)]
pub struct Options {
    pub dry_run: bool,
    /// Find servers and clients by their names. The ids of the file are those of another system,
    /// and only connect its clients with its servers.
    pub by_name: bool,
    /// Archive the servers and clients that the file does not have, for this reason.
    pub archive_missing: Option<String>,
}

/// The steps in the order in which they are sent.
#[derive(Debug, Default)]
pub struct Plan {
    pub steps: Vec<Step>,
    pub invalid: Vec<Invalid>,
    pub ignored: usize,
}

/// A server of the file, to which its clients refer.
struct FileServer {
    id: Option<i32>,
    name: String,
    place: Place,
}

struct Planner<'a> {
    fleet: &'a Fleet,
    options: &'a Options,
    servers: Vec<FileServer>,
    /// What the rows of the file stand for.
    matched: HashSet<(Kind, i32)>,
    plan: Plan,
}

/// Compares `document` with `fleet`.
#[must_use]
pub fn plan(document: &Document, fleet: &Fleet, options: &Options) -> Plan {
    let mut planner = Planner {
        fleet,
        options,
        servers: Vec::new(),
        matched: HashSet::new(),
        plan: Plan::default(),
    };
    for kind in Kind::ALL {
        for (index, row) in document.of(kind).unwrap_or_default().iter().enumerate() {
            planner.add(kind, index, row);
        }
    }
    if options.archive_missing.is_some() {
        planner.archive_missing(document);
    }
    planner.plan
}

impl<'a> Planner<'a> {
    fn add(&mut self, kind: Kind, index: usize, row: &Row) {
        if row.is_archived() {
            self.plan.ignored = self.plan.ignored.saturating_add(1);
            return;
        }
        let step = match kind {
            Kind::Server => self.server(index, row),
            Kind::Client => self.client(index, row),
        };
        match step {
            Ok(step) => self.plan.steps.push(step),
            Err((field, message)) => self.plan.invalid.push(Invalid {
                kind: kind.name(),
                source: row.source.clone(),
                field,
                message,
            }),
        }
    }

    fn server(&mut self, index: usize, row: &Row) -> Result<Step, Fault> {
        let existing = self.existing(Kind::Server, row, |_| true)?;
        let name = row
            .text("name")
            .or(existing.map(|found| found.name.as_str()));
        let name = name.unwrap_or_default().trim().to_owned();
        let place = existing.map_or(Place::New(index), |found| Place::Exists(found.id));
        let is_twice = |server: &FileServer| {
            server.place == place || (matches!(place, Place::New(_)) && server.name == name)
        };
        if self.servers.iter().any(is_twice) {
            return Err(fault("name", "another row has the same server"));
        }
        self.servers.push(FileServer {
            id: id_in(&row.fields, "id"),
            name,
            place,
        });
        self.compare(Pair {
            kind: Kind::Server,
            index,
            row,
            existing,
            place: None,
        })
    }

    fn client(&mut self, index: usize, row: &Row) -> Result<Step, Fault> {
        let place = self.place(row)?;
        let of_server = |found: &Existing| match place {
            Some(Place::Exists(id)) => found.server_id() == Some(id),
            Some(Place::New(_)) => false,
            None => true,
        };
        let existing = self.existing(Kind::Client, row, of_server)?;
        if existing.is_none() && place.is_none() {
            return Err(fault(
                "server_id",
                "a client needs a server_id or a server_name",
            ));
        }
        self.check_twice(index, row, existing, place)?;
        self.compare(Pair {
            kind: Kind::Client,
            index,
            row,
            existing,
            place,
        })
    }

    fn compare(&mut self, pair: Pair<'_>) -> Result<Step, Fault> {
        let existing = pair.existing.map(|found| (pair.kind, found.id));
        self.matched.extend(existing);
        let server = self.servers.iter().find(|server| {
            matches!(server.place, Place::New(_)) && Some(server.place) == pair.place
        });
        compare(pair, server.map(|server| server.name.as_str()))
    }

    /// Fails if an earlier row stands for the same client.
    fn check_twice(
        &self,
        index: usize,
        row: &Row,
        existing: Option<&Existing>,
        place: Option<Place>,
    ) -> Result<(), Fault> {
        let is_same = |step: &Step| {
            let new = existing.is_none() && matches!(step.send, Send::Create(_, at) if at != index);
            let name = row.text("name").unwrap_or_default().trim();
            let server = match (place, &step.send) {
                (Some(Place::New(server)), _) => step.new_server == Some(server),
                (Some(Place::Exists(id)), Send::Create(body, _)) => {
                    id_in(body, "server_id") == Some(id)
                }
                _ => false,
            };
            step.kind == Kind::Client && new && server && step.row.name == name
        };
        let is_matched =
            existing.is_some_and(|found| self.matched.contains(&(Kind::Client, found.id)));
        if is_matched || self.plan.steps.iter().any(is_same) {
            return Err(fault("name", "another row has the same client"));
        }
        Ok(())
    }

    /// What a row stands for: the one with its id or, without an id, the only one in use with its
    /// name. `None` if the row is new.
    fn existing(
        &self,
        kind: Kind,
        row: &Row,
        is_candidate: impl Fn(&Existing) -> bool,
    ) -> Result<Option<&'a Existing>, Fault> {
        if let Some(unknown) = row.unknown_field(kind) {
            let known = kind.columns().join(", ");
            let message = format!("unknown field; expected some of: {known}");
            return Err((unknown.to_owned(), message));
        }
        if let Some(id) = row.value("id").filter(|_| !self.options.by_name) {
            return self.with_id(kind, id).map(Some);
        }
        let Some(name) = row.text("name").map(str::trim) else {
            return Err(fault(
                "name",
                "is missing; expected a name, or the id of an existing row",
            ));
        };
        let mut named =
            self.fleet.of(kind).iter().filter(|found| {
                !found.is_archived && found.name.trim() == name && is_candidate(found)
            });
        match (named.next(), named.next()) {
            (_, Some(_)) => Err(ambiguous("name", kind)),
            (found, None) => Ok(found),
        }
    }

    fn with_id(&self, kind: Kind, id: &Value) -> Result<&'a Existing, Fault> {
        let found = self.fleet.of(kind).iter();
        let found = found
            .into_iter()
            .find(|found| id.as_i64() == Some(found.id.into()));
        match found {
            None => Err(fault(
                "id",
                "does not exist; leave the id out to create a new one, or use --by-name for a file \
                 of another system",
            )),
            Some(found) if found.is_archived => Err(fault(
                "id",
                "is archived; leave the id out to create a new one",
            )),
            Some(found) => Ok(found),
        }
    }

    /// The server that a client's row names. `None` if it names none.
    fn place(&self, row: &Row) -> Result<Option<Place>, Fault> {
        let id = row.value("server_id");
        if let (Some(id), false) = (id, self.options.by_name) {
            let found = self.with_id(Kind::Server, id);
            let found = found.map_err(|(_, message)| ("server_id".to_owned(), message))?;
            return Ok(Some(Place::Exists(found.id)));
        }
        let in_file = |server: &&FileServer| server.id.map(Value::from).as_ref() == id;
        if let Some(server) = id.and_then(|_| self.servers.iter().find(in_file)) {
            return Ok(Some(server.place));
        }
        let Some(name) = row.text("server_name").map(str::trim) else {
            return match id {
                Some(_) => Err(fault("server_id", "is not the id of a server in the file")),
                None => Ok(None),
            };
        };
        let in_file = self.servers.iter().filter(|server| server.name == name);
        let in_file = in_file.map(|server| server.place);
        let known: Vec<Place> = self.servers.iter().map(|server| server.place).collect();
        let others = self.fleet.servers.iter().filter(|server| {
            !server.is_archived
                && server.name.trim() == name
                && !known.contains(&Place::Exists(server.id))
        });
        let mut found = in_file.chain(others.map(|server| Place::Exists(server.id)));
        match (found.next(), found.next()) {
            (Some(place), None) => Ok(Some(place)),
            (None, _) => Err(fault("server_name", "no server in use has this name")),
            (Some(_), Some(_)) => Err(ambiguous("server_name", Kind::Server)),
        }
    }

    /// Archives what no row stands for, of the kinds that the file has. Clients come first, because
    /// a server is archived with its clients.
    fn archive_missing(&mut self, document: &Document) {
        for kind in [Kind::Client, Kind::Server] {
            let existing = self
                .fleet
                .of(kind)
                .iter()
                .filter(|_| document.of(kind).is_some());
            let missing: Vec<&Existing> = existing
                .filter(|found| !found.is_archived && !self.matched.contains(&(kind, found.id)))
                .collect();
            for found in missing {
                if kind == Kind::Server
                    && let Some(invalid) = self.used(found)
                {
                    self.plan.invalid.push(invalid);
                    continue;
                }
                let mut step = archive(kind, found);
                if kind == Kind::Server && document.of(Kind::Client).is_none() {
                    step.row.changes.extend(self.archived_clients(found.id));
                }
                self.plan.steps.push(step);
            }
        }
    }

    /// Shows that the clients of a server are archived with it. `None` if it has none in use.
    fn archived_clients(&self, server: i32) -> Option<FieldChange> {
        let of_server =
            |client: &&Existing| !client.is_archived && client.server_id() == Some(server);
        let clients = self.fleet.clients.iter().filter(of_server).count();
        (clients > 0).then(|| FieldChange {
            field: "clients in use".to_owned(),
            before: clients.into(),
            after: 0.into(),
        })
    }

    /// The fault of a file that lacks a server, but has a client that stays on it.
    fn used(&self, server: &Existing) -> Option<Invalid> {
        let stays = |step: &&Step| {
            let moved_to = match &step.send {
                Send::Create(body, _) | Send::Update(body, _) => id_in(body, "server_id"),
                Send::Nothing | Send::Archive => None,
            };
            let stored = self.fleet.clients.iter();
            let mut stored = stored.filter(|client| Some(client.id) == step.row.id);
            let stored = stored.next().and_then(Existing::server_id);
            let moves = moved_to.is_some() || step.new_server.is_some();
            let ends_on = if moves { moved_to } else { stored };
            step.kind == Kind::Client
                && step.row.action != Action::Archive
                && ends_on == Some(server.id)
        };
        let client = self.plan.steps.iter().find(stays)?;
        Some(Invalid {
            kind: Kind::Client.name(),
            source: client.row.source.clone().unwrap_or_default(),
            field: "server_id".to_owned(),
            message: format!(
                "the file does not have server {}, so --archive-missing would archive this client; \
                 add the server, or move the client",
                server.id
            ),
        })
    }
}

fn archive(kind: Kind, found: &Existing) -> Step {
    Step {
        row: RowReport {
            kind: kind.name(),
            source: None,
            id: Some(found.id),
            name: found.name.clone(),
            action: Action::Archive,
            changes: Vec::new(),
            left_out: Vec::new(),
            outcome: Outcome::Planned,
        },
        kind,
        send: Send::Archive,
        new_server: None,
    }
}

fn ambiguous(field: &str, kind: Kind) -> Fault {
    let list = kind.list();
    fault(
        field,
        &format!("several {list} have this name; expected an id"),
    )
}
