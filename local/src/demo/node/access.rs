//! The accesses of the demo fleet's nodes. The API shows a token once, so they are kept in a file.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::demo::fleet::{Fleet, Server};
use crate::files::write_private;
use crate::fleet::api::{Api, Change};

/// Number of accesses that are tried to be issued before the start fails. An access whose token was
/// shown to an earlier run is not shown again.
const ATTEMPTS: i32 = 100;

/// The server on which a visitor's own node may run.
pub const VISITOR_NODE: i32 = 2;
/// The server for which a visitor's own collector may report.
pub const VISITOR_COLLECTOR: i32 = 4;

/// The accesses of nodes. `Debug` is missing, because of the tokens.
#[derive(Default, Serialize, Deserialize)]
pub struct Accesses {
    /// By the id of the server.
    by_server: BTreeMap<i32, Issued>,
    /// Number of attempts to issue an access, which makes each a new one for the API.
    attempts: i32,
}

/// An access, as the API describes it.
#[derive(PartialEq, Eq, Serialize, Deserialize)]
struct Access {
    id: i64,
    /// Tells it from an access of an earlier database with the same id.
    created_at: String,
}

#[derive(Deserialize)]
struct Listed {
    accesses: Vec<Access>,
}

#[derive(Serialize, Deserialize)]
struct Issued {
    access: Access,
    /// `None` if an earlier call showed it.
    token: Option<String>,
}

impl Accesses {
    /// Reads the accesses in a file. A file that does not exist has none.
    pub fn read(file: &Path) -> Result<Self> {
        match fs::read_to_string(file) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Self::default()),
            text => serde_json::from_str(&text?)
                .with_context(|| format!("{} cannot be read. Delete it.", file.display())),
        }
    }

    /// The token for a server's nodes or collector. `None` if it has none.
    #[must_use]
    pub fn token(&self, server: i32) -> Option<&str> {
        self.by_server.get(&server)?.token.as_deref()
    }
}

/// Issues the accesses that the file does not have, or that are no longer valid.
pub fn issue(api: &Api, fleet: &Fleet, file: &Path) -> Result<Accesses> {
    let mut accesses = Accesses::read(file)?;
    let listed = api.get("/v1/admin/node-access?limit=200")?;
    let Listed { accesses: valid } = serde_json::from_value(listed)?;
    let is_valid = |issued: &Issued| valid.contains(&issued.access);
    for server in &fleet.servers {
        let Some((protocol, software)) = user_of(server) else {
            continue;
        };
        if accesses.by_server.get(&server.id).is_some_and(is_valid) {
            continue;
        }
        let settings =
            json!({ "protocol": protocol, "software": software, "server_id": server.id });
        let issued = issue_one(api, &settings, &mut accesses.attempts)?;
        accesses.by_server.insert(server.id, issued);
        write_private(file, &serde_json::to_string_pretty(&accesses)?)?;
    }
    Ok(accesses)
}

/// The protocol and the program with which a server's traffic is reported over HTTP. `None` if it
/// is not.
fn user_of(server: &Server) -> Option<(&'static str, &'static str)> {
    match (server.id, server.program) {
        (_, Some(program)) => Some((program.protocol(), program.software())),
        (VISITOR_NODE, None) => Some(("uniproxy", "other")),
        (VISITOR_COLLECTOR, None) => Some(("usage_report", "collector")),
        _ => None,
    }
}

fn issue_one(api: &Api, settings: &Value, attempts: &mut i32) -> Result<Issued> {
    for _ in 0..ATTEMPTS {
        *attempts += 1;
        let issued = api.change(&Change {
            method: "POST",
            path: "/v1/admin/node-access".to_owned(),
            revision: None,
            body: settings.clone(),
            after: *attempts,
        })?;
        let issued: Issued = serde_json::from_value(issued)?;
        if issued.token.is_some() {
            return Ok(issued);
        }
    }
    bail!("The API shows no token for a new node access.")
}
