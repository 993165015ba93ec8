//! The fleet as the API returns it.

use anyhow::{Context, Result};
use serde_json::Value;

use super::api::Api;
use super::{Fields, Kind};

/// Number of items of one page, the most that the API returns.
const PAGE: usize = 200;

/// A server or a client that exists.
#[derive(Debug, Clone, PartialEq)]
pub struct Existing {
    pub id: i32,
    pub name: String,
    /// Counts its changes. An update names it. 0 if it was not read, which no update matches.
    pub revision: i64,
    pub is_archived: bool,
    /// The exported fields. Secrets in the configuration are masked.
    pub fields: Fields,
}

impl Existing {
    /// Id of the server of a client.
    #[must_use]
    pub fn server_id(&self) -> Option<i32> {
        id_in(&self.fields, "server_id")
    }
}

/// What is read of archived servers and clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Archived {
    LeftOut,
    /// Their ids and names, which a file may mention.
    Listed,
    /// All that is exported.
    Whole,
}

/// All servers and clients.
#[derive(Debug, Default)]
pub struct Fleet {
    pub servers: Vec<Existing>,
    pub clients: Vec<Existing>,
}

impl Fleet {
    /// Reads the servers and clients. The API's list of servers has no configurations, so each
    /// server needs a request of its own.
    pub fn read(api: &Api, archived: Archived) -> Result<Self> {
        let read = |kind| list(api, kind, archived != Archived::LeftOut);
        let servers = read(Kind::Server)?.into_iter().map(|mut fields| {
            if archived == Archived::Whole || !is_archived(&fields) {
                add_details(api, &mut fields)?;
            }
            existing(Kind::Server, &fields)
        });
        let clients = read(Kind::Client)?;
        let clients = clients.iter().map(|fields| existing(Kind::Client, fields));
        Ok(Self {
            servers: servers.collect::<Result<_>>()?,
            clients: clients.collect::<Result<_>>()?,
        })
    }

    #[must_use]
    pub fn of(&self, kind: Kind) -> &[Existing] {
        match kind {
            Kind::Server => &self.servers,
            Kind::Client => &self.clients,
        }
    }
}

fn is_archived(fields: &Fields) -> bool {
    fields.get("archived_at").is_some_and(|at| !at.is_null())
}

/// Adds what the list of servers does not have.
fn add_details(api: &Api, server: &mut Fields) -> Result<()> {
    let id = id_in(server, "id").context("A server has no id")?;
    let details = api.get(&format!("{}/{id}", Kind::Server.path()))?;
    for field in ["server_config", "revision"] {
        let value = details.get(field).cloned();
        let value = value.with_context(|| format!("Server {id} has no {field}"))?;
        server.insert(field.to_owned(), value);
    }
    Ok(())
}

fn list(api: &Api, kind: Kind, include_archived: bool) -> Result<Vec<Fields>> {
    let mut all = Vec::new();
    loop {
        let offset = all.len();
        let path = format!(
            "{}?limit={PAGE}&offset={offset}&include_archived={include_archived}",
            kind.path()
        );
        let mut page = api
            .get(&path)
            .with_context(|| format!("Cannot list the {}", kind.list()))?;
        let items = page.get_mut(kind.list()).map(Value::take);
        let items: Vec<Fields> = serde_json::from_value(items.unwrap_or_default())
            .with_context(|| format!("The response has no list of {}", kind.list()))?;
        let is_last = items.len() < PAGE;
        all.extend(items);
        if is_last {
            return Ok(all);
        }
    }
}

fn existing(kind: Kind, fields: &Fields) -> Result<Existing> {
    let missing = |field: &str| format!("A {} of the API has no {field}", kind.name());
    let name = fields.get("name").and_then(Value::as_str);
    let revision = fields.get("revision").and_then(Value::as_i64);
    let exported = kind.columns().into_iter().map(|column| {
        let value = fields.get(column).cloned().unwrap_or_default();
        (column.to_owned(), value)
    });
    Ok(Existing {
        id: id_in(fields, "id").with_context(|| missing("id"))?,
        name: name.with_context(|| missing("name"))?.to_owned(),
        revision: revision.unwrap_or_default(),
        is_archived: is_archived(fields),
        fields: exported.collect(),
    })
}

/// The value of a field with an id. `None` if it is missing, or no id.
pub(super) fn id_in(fields: &Fields, name: &str) -> Option<i32> {
    fields.get(name)?.as_i64()?.try_into().ok()
}
