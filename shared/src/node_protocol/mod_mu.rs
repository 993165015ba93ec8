//! `mod_mu`, the protocol of `SSPanel`: the bodies of its requests and responses.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::json::{self, NotWhole, Shape, each_element, each_field};
use super::online::{self, Online};
use super::push::{Push, Reason, Rows, user_in};
use super::uniproxy::Listed;
use super::users::{ListedUser, never_empty};
use super::{metrics, written};
use crate::domain::node::Metrics;
use crate::domain::node_config::{ModMuConfig, Sort};
use crate::error::Error;

/// The response to `users/traffic`, `users/aliveip` and `users/detectlog`.
pub const OK: &str = r#"{"ret":1,"msg":"ok"}"#;
/// The response to `POST nodes/{id}/info`.
pub const INFO_OK: &str = r#"{"ret":1}"#;
/// The response to `func/ping`.
pub const PONG: &str = r#"{"ret":1,"msg":"Pong? Pong!"}"#;
/// The response to `func/detect_rules`: there are none.
pub const NO_DETECT_RULES: &str = r#"{"ret":1,"data":[]}"#;
/// The response to a request without a valid key, with status 401.
pub const INVALID_REQUEST: &str = r#"{"ret":0,"msg":"Invalid request."}"#;

/// The version of the panel. `XrayR` reads `custom_config` from 2021.11 on, and reports its load to
/// panels before 2023.2 only.
const VERSION: &str = "2022.12";

/// Length of the longest key of Shadowsocks 2022, bytes.
const MAX_KEY_BYTES: usize = 32;

/// The body of an error, which has status 200. `message` contains no text from the request.
pub fn error(message: &str) -> Result<Vec<u8>, Error> {
    #[derive(Serialize)]
    struct Body<'a> {
        ret: u8,
        msg: &'a str,
    }
    let msg = message;
    written(&Body { ret: 0, msg })
}

/// Calls `each` for every element of the list `data` of a body. Returns whether there is a list.
fn each_item<'a>(body: &'a [u8], mut each: impl FnMut(&'a RawValue)) -> Result<bool, Error> {
    let mut shapes = Vec::new();
    let shape = each_field(json::text(body)?, |name, value| {
        if name == "data" {
            shapes.push(each_element(value.get(), &mut each));
        }
    })?;
    let shapes: Vec<Shape> = shapes.into_iter().collect::<Result<_, _>>()?;
    let is_list = !shapes.is_empty() && !shapes.contains(&Shape::Other);
    Ok(is_list || shape == Shape::Empty)
}

/// Parses `users/traffic`: `{"data":[{"user_id":17,"u":1000,"d":2000}]}`, upload and download in
/// bytes.
///
/// A row that cannot be billed is rejected with a reason and harms no other row. The only error is
/// a body that is not JSON.
pub fn traffic(body: &[u8]) -> Result<Push, Error> {
    let mut rows = Rows::default();
    let mut index: usize = 0;
    let is_list = each_item(body, |item| {
        add_row(&mut rows, index, item);
        index = index.saturating_add(1);
    })?;
    if !is_list {
        rows.reject(".", Reason::WrongBody, None, None);
    }
    Ok(rows.finish())
}

fn add_row(rows: &mut Rows, index: usize, item: &RawValue) {
    let missing = || Err(NotWhole::NotANumber);
    let (mut user, mut upload, mut download) = (None, missing(), missing());
    // What is not an object names no user.
    let _ = each_field(item.get(), |name, value| match name {
        "user_id" => user = Some(value),
        "u" => upload = json::whole(value),
        "d" => download = json::whole(value),
        _ => {}
    });
    let number = user.and_then(user_in);
    let key = match user.and_then(json::scalar) {
        Some(user) => user,
        None => Cow::Owned(format!("data[{index}]")),
    };
    rows.add(&key, number, upload, download);
}

/// Parses `users/aliveip`: `{"data":[{"user_id":17,"ip":"203.0.113.7"}]}`. What names no user or
/// address is only counted. The only error is a body that is not JSON.
pub fn alive_ip(body: &[u8]) -> Result<Online, Error> {
    let mut online = Online::default();
    let is_list = each_item(body, |item| {
        let (mut number, mut address) = (None, None);
        // What is not an object names no user.
        let _ = each_field(item.get(), |name, value| match name {
            "user_id" => number = user_in(value),
            "ip" => address = json::scalar(value).and_then(|ip| online::address(&ip)),
            _ => {}
        });
        online.add(number, address);
    })?;
    if !is_list {
        online.add(None, None);
    }
    Ok(online.finish())
}

/// A user who matched a rule of the panel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Detected {
    /// The number by which node software knows the user.
    pub number: i32,
    /// Id of the rule.
    pub rule_id: i64,
}

/// Parses `users/detectlog`: `{"data":[{"list_id":3,"user_id":17}]}`. What names no user or rule is
/// left out. The only error is a body that is not JSON.
pub fn detect_log(body: &[u8]) -> Result<Vec<Detected>, Error> {
    let mut detected = Vec::new();
    each_item(body, |item| {
        let (mut user, mut rule) = (None, None);
        // What is not an object names no user.
        let _ = each_field(item.get(), |name, value| match name {
            "user_id" => user = user_in(value),
            "list_id" => rule = json::whole(value).ok(),
            _ => {}
        });
        if let (Some(number), Some(rule_id)) = (user, rule) {
            detected.push(Detected { number, rule_id });
        }
    })?;
    Ok(detected)
}

/// Parses `POST nodes/{id}/info`, the uptime and the load of a node. A value that makes no sense is
/// left out. The only error is a body that is not JSON.
pub fn load(body: &[u8]) -> Result<Metrics, Error> {
    let mut read = Metrics::default();
    each_field(json::text(body)?, |name, value| {
        metrics::add_load(&mut read, name, value);
    })?;
    Ok(read)
}

/// What `GET nodes/{id}/info` returns.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NodeInfo<'a> {
    /// Speed limit of the node in Mbit/s. 0 if there is none.
    pub speed_limit_mbps: i32,
    /// The kind of node: 0, 1, 2, 11 or 14.
    pub sort: i32,
    /// Address of the server.
    pub server: &'a str,
    /// The configuration of the node's software.
    pub custom_config: &'a Map<String, Value>,
}

impl<'a> NodeInfo<'a> {
    /// What a node with this configuration receives.
    #[must_use]
    pub fn of(config: &'a ModMuConfig) -> Self {
        Self {
            speed_limit_mbps: config.speed_limit_mbps,
            sort: config.sort.number(),
            server: &config.server,
            custom_config: &config.custom_config,
        }
    }
}

/// The body of a successful response with data.
#[derive(Serialize)]
struct Success<T> {
    ret: u8,
    data: T,
}

/// Writes `GET nodes/{id}/info`, the configuration of a node.
pub fn info(node: NodeInfo<'_>) -> Result<Vec<u8>, Error> {
    #[derive(Serialize)]
    struct Data<'a> {
        node_speedlimit: i32,
        sort: i32,
        server: &'a str,
        custom_config: &'a Map<String, Value>,
        #[serde(rename = "type")]
        panel: &'static str,
        version: &'static str,
    }
    let data = Data {
        node_speedlimit: node.speed_limit_mbps,
        sort: node.sort,
        server: node.server,
        custom_config: node.custom_config,
        panel: "SSPanel-UIM",
        version: VERSION,
    };
    written(&Success { ret: 1, data })
}

/// How a node of a `sort` knows its users.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UserForm<'a> {
    /// By their UUIDs (sort 11, `VMess` or VLESS, and 14, Trojan).
    Uuid,
    /// By UUID and password (sort 2, TUIC). The UUID is both.
    UuidAndPassword,
    /// By a key of `key_bytes` bytes, 16 or 32 (sort 1, Shadowsocks 2022). The key is the beginning
    /// of the UUID's text, as in `UniProxy`.
    Key {
        /// Length of the key, bytes.
        key_bytes: usize,
    },
    /// By password, with the node's port and cipher (sort 0, Shadowsocks). The UUID is the
    /// password.
    Password {
        /// Port of the node.
        port: u16,
        /// Cipher of the node.
        method: &'a str,
    },
}

impl<'a> UserForm<'a> {
    /// How a node with this configuration knows its users.
    #[must_use]
    pub fn of(config: &'a ModMuConfig) -> Self {
        match config.sort {
            Sort::Shadowsocks => Self::Password {
                port: config.port,
                method: &config.method,
            },
            Sort::Shadowsocks2022 => Self::Key {
                key_bytes: config.key_bytes.unwrap_or(MAX_KEY_BYTES),
            },
            Sort::Tuic => Self::UuidAndPassword,
            Sort::Vmess | Sort::Trojan => Self::Uuid,
        }
    }
}

#[derive(Serialize)]
struct User<'a> {
    id: i32,
    node_speedlimit: i32,
    node_iplimit: i32,
    #[serde(skip_serializing_if = "Option::is_none")]
    port: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    method: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    passwd: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    uuid: Option<Uuid>,
}

impl<'a> User<'a> {
    fn new(user: ListedUser, form: UserForm<'a>) -> Self {
        let (port, method) = match form {
            UserForm::Password { port, method } => (Some(port), Some(method)),
            _ => (None, None),
        };
        let passwd = match form {
            UserForm::Uuid => None,
            UserForm::UuidAndPassword | UserForm::Password { .. } => Some(user.secret.to_string()),
            UserForm::Key { key_bytes } => Some(key(user.secret, key_bytes)),
        };
        let has_uuid = matches!(form, UserForm::Uuid | UserForm::UuidAndPassword);
        Self {
            id: user.number,
            node_speedlimit: user.speed_limit_mbps.unwrap_or_default(),
            node_iplimit: user.device_limit,
            port,
            method,
            passwd,
            uuid: has_uuid.then_some(user.secret),
        }
    }
}

/// The Shadowsocks 2022 key of a user: the first characters of the UUID as text, in Base64.
fn key(secret: Uuid, key_bytes: usize) -> String {
    let text = secret.to_string();
    let beginning: Vec<u8> = text.bytes().take(key_bytes).collect();
    BASE64.encode(beginning)
}

/// Writes `users`, the list of users. A limit of 0 is none. `decoy` is a random UUID for the list's
/// only user if there are no users.
pub fn users(users: &[ListedUser], form: UserForm<'_>, decoy: Uuid) -> Result<Vec<u8>, Error> {
    let data = Listed(|| never_empty(users, decoy).map(|user| User::new(user, form)));
    written(&Success { ret: 1, data })
}
