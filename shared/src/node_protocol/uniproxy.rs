//! `UniProxy`, the protocol of `V2board` and `Xboard` panels: the bodies of its requests and
//! responses. Version 2 of the protocol has the same bodies under other paths, and some more.

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::json::{self, Shape, each_element, each_field};
use super::online::{self, Online};
use super::push::{Push, Reason, Rows, user_number};
use super::users::{ListedUser, never_empty};
use super::{metrics, written};
use crate::domain::node::Metrics;
use crate::error::Error;

/// The response to `push`, `alive`, `report` and `machine/status`. Clients compare it to the byte.
pub const DATA_TRUE: &str = r#"{"data":true}"#;
/// The response to `status`.
pub const STATUS_OK: &str = r#"{"data":true,"code":0,"message":"success"}"#;
/// The response to `handshake`. The node keeps polling, and opens no WebSocket.
pub const HANDSHAKE: &str = r#"{"websocket":{"enabled":false}}"#;

/// Keys of credentials, which some clients send in the body beside the data.
const CREDENTIALS: [&str; 4] = ["token", "node_id", "node_type", "machine_id"];

/// Parses `push`: `{"17":[1000,2000]}`, upload and download in bytes.
///
/// A row that cannot be billed is rejected with a reason and harms no other row. The only error is
/// a body that is not JSON.
pub fn push(body: &[u8]) -> Result<Push, Error> {
    pushed(json::text(body)?)
}

fn pushed(text: &str) -> Result<Push, Error> {
    let mut rows = Rows::default();
    let shape = each_field(text, |key, value| {
        if !CREDENTIALS.contains(&key) {
            add_row(&mut rows, key, value);
        }
    })?;
    if shape == Shape::Other {
        return Ok(Push::of_wrong_body());
    }
    Ok(rows.finish())
}

fn add_row(rows: &mut Rows, key: &str, value: &RawValue) {
    match serde_json::from_str::<(&RawValue, &RawValue)>(value.get()) {
        Ok((upload, download)) => {
            let (upload, download) = (json::whole(upload), json::whole(download));
            rows.add(key, user_number(key), upload, download);
        }
        Err(_) if user_number(key).is_none() => rows.reject(key, Reason::NoUser, None, None),
        Err(_) => rows.reject(key, Reason::NotTwoNumbers, None, None),
    }
}

/// Parses `alive`: `{"17":["203.0.113.7"]}`. What names no user or address is only counted. The
/// only error is a body that is not JSON.
pub fn alive(body: &[u8]) -> Result<Online, Error> {
    online(json::text(body)?)
}

fn online(text: &str) -> Result<Online, Error> {
    let mut online = Online::default();
    let shape = each_field(text, |key, value| {
        if !CREDENTIALS.contains(&key) {
            add_addresses(&mut online, key, value);
        }
    })?;
    if shape == Shape::Other {
        online.add(None, None);
    }
    Ok(online.finish())
}

fn add_addresses(online: &mut Online, key: &str, value: &RawValue) {
    let number = user_number(key);
    let address = |value| online::address(&json::scalar(value)?);
    let shape = each_element(value.get(), |element| online.add(number, address(element)));
    if !matches!(shape, Ok(Shape::Read | Shape::Empty)) {
        online.add(number, address(value));
    }
}

/// Parses `status` and `machine/status`. A value that makes no sense is left out. The only error is
/// a body that is not JSON.
pub fn status(body: &[u8]) -> Result<Metrics, Error> {
    let mut read = Metrics::default();
    each_field(json::text(body)?, |name, value| {
        metrics::add_status(&mut read, name, value);
    })?;
    Ok(read)
}

/// A `report` of version 2: what the other calls report one by one.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Report {
    /// The traffic. Empty if the report has none.
    pub push: Push,
    /// The addresses of users. `None` if the report has none, because no user is connected or
    /// because the node does not know them.
    pub online: Option<Online>,
    /// The metrics of the server.
    pub metrics: Metrics,
}

/// Parses `report`. The only error is a body that is not JSON.
pub fn report(body: &[u8]) -> Result<Report, Error> {
    let mut report = Report::default();
    let mut first_error = None;
    let shape = each_field(json::text(body)?, |name, value| {
        if let Err(error) = report.add(name, value) {
            first_error.get_or_insert(error);
        }
    })?;
    if shape == Shape::Other {
        report.push = Push::of_wrong_body();
    }
    first_error.map_or(Ok(report), Err)
}

impl Report {
    fn add(&mut self, name: &str, value: &RawValue) -> Result<(), Error> {
        let text = value.get();
        match name {
            "traffic" => self.push = pushed(text)?,
            "alive" => self.online = Some(online(text)?),
            "status" => {
                each_field(text, |name, value| {
                    metrics::add_status(&mut self.metrics, name, value);
                })?;
            }
            "metrics" => {
                each_field(text, |name, value| {
                    metrics::add_metric(&mut self.metrics, name, value);
                })?;
            }
            _ => {}
        }
        Ok(())
    }
}

#[derive(Serialize)]
struct BaseConfig {
    push_interval: u32,
    pull_interval: u32,
}

/// Writes `config`: the configuration of a node, with `interval_seconds` between its pushes and
/// between its pulls. Both are the same, because `V2bX` confuses them after a change. Other fields
/// of a stored `base_config` are kept, and `routes` is empty if there are none.
pub fn config(config: &Map<String, Value>, interval_seconds: u32) -> Result<Vec<u8>, Error> {
    let mut config = config.clone();
    let base = config
        .entry("base_config")
        .or_insert_with(|| Map::new().into());
    if !base.is_object() {
        *base = Map::new().into();
    }
    if let Value::Object(base) = base {
        base.insert("push_interval".to_owned(), interval_seconds.into());
        base.insert("pull_interval".to_owned(), interval_seconds.into());
    }
    let routes = config
        .entry("routes")
        .or_insert_with(|| Vec::<Value>::new().into());
    if routes.is_null() {
        *routes = Vec::<Value>::new().into();
    }
    written(&config)
}

#[derive(Serialize)]
struct User {
    id: i32,
    uuid: Uuid,
    speed_limit: i32,
    device_limit: i32,
}

impl From<ListedUser> for User {
    fn from(user: ListedUser) -> Self {
        Self {
            id: user.number,
            uuid: user.secret,
            speed_limit: user.speed_limit_mbps.unwrap_or_default(),
            device_limit: user.device_limit,
        }
    }
}

/// Writes `user`, the list of users: `{"users":[{"id":17,"uuid":"…","speed_limit":100,…}]}`. A
/// limit of 0 is none. `decoy` is a random UUID for the list's only user if there are no users.
pub fn users(users: &[ListedUser], decoy: Uuid) -> Result<Vec<u8>, Error> {
    #[derive(Serialize)]
    struct Body<T> {
        users: T,
    }
    let users = Listed(|| never_empty(users, decoy).map(User::from));
    written(&Body { users })
}

/// A list that is written while it is computed.
pub(super) struct Listed<F>(pub(super) F);

impl<I: Iterator<Item: Serialize>, F: Fn() -> I> Serialize for Listed<F> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq((self.0)())
    }
}

/// Writes `alivelist`: `{"alive":{"17":2}}`, the number of addresses of each user.
pub fn alive_list(counts: &[(i32, i64)]) -> Result<Vec<u8>, Error> {
    struct Counts<'a>(&'a [(i32, i64)]);
    impl Serialize for Counts<'_> {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            let mut map = serializer.serialize_map(Some(self.0.len()))?;
            for (number, count) in self.0 {
                map.serialize_entry(number, count)?;
            }
            map.end()
        }
    }
    #[derive(Serialize)]
    struct Body<'a> {
        alive: Counts<'a>,
    }
    written(&Body {
        alive: Counts(counts),
    })
}

/// A node of a machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MachineNode {
    /// The id by which the node asks for its configuration.
    pub id: i64,
    /// The protocol of the node, such as `vless`.
    #[serde(rename = "type")]
    pub protocol: String,
    /// Name of the node.
    pub name: String,
}

/// Writes `machine/nodes`, the nodes of a machine, with `interval_seconds` between their pushes and
/// between their pulls.
pub fn machine_nodes(nodes: &[MachineNode], interval_seconds: u32) -> Result<Vec<u8>, Error> {
    #[derive(Serialize)]
    struct Body<'a> {
        nodes: &'a [MachineNode],
        base_config: BaseConfig,
    }
    written(&Body {
        nodes,
        base_config: BaseConfig {
            push_interval: interval_seconds,
            pull_interval: interval_seconds,
        },
    })
}
