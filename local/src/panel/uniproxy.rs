//! Configurations of nodes of V2board and Xboard, as their panels send them to node software.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use md5::{Digest as _, Md5};
use serde_json::{Map, Value, json};

use super::table::{Fault, Row};

/// The fields of a configuration, as the API names them.
pub type Config = Map<String, Value>;

/// Rules of routes by their ids, from `v2_server_route`.
pub type Routes = BTreeMap<i64, Value>;

/// What a configuration is made of, beside the row.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    pub row: &'a Row,
    /// Name of the protocol, such as `vless`.
    pub protocol: &'a str,
    /// Unix time of the row's creation, of which panels derive keys.
    pub created_at: Option<i64>,
    pub routes: Option<&'a Routes>,
}

impl Source<'_> {
    /// The configuration of a row of one of V2board's tables.
    pub fn v2board(self) -> Result<Config, Fault> {
        let row = self.row;
        let mut config = self.start()?;
        match self.protocol {
            "vmess" => {
                text(&mut config, "network", row.text("network"));
                insert(&mut config, "networkSettings", row.json("networkSettings")?);
                insert(&mut config, "tls", row.whole("tls")?);
            }
            "vless" => self.vless(&mut config)?,
            "trojan" => {
                let network = row.text("network").unwrap_or("tcp");
                text(&mut config, "network", Some(network));
                let settings = row.json("network_settings")?;
                insert(&mut config, "networkSettings", settings);
                texts(&mut config, row, &["host", "server_name"]);
            }
            "shadowsocks" => {
                texts(&mut config, row, &["cipher", "obfs"]);
                insert(&mut config, "obfs_settings", row.json("obfs_settings")?);
                self.server_key(&mut config)?;
            }
            "hysteria" => self.hysteria(&mut config)?,
            "tuic" => {
                texts(&mut config, row, &["server_name", "congestion_control"]);
                let handshake = row.flag("zero_rtt_handshake")?;
                insert(&mut config, "zero_rtt_handshake", Some(handshake));
            }
            "anytls" => {
                texts(&mut config, row, &["server_name"]);
                padding(&mut config, row.json("padding_scheme")?);
            }
            _ => return Err(unknown_protocol(self.protocol)),
        }
        self.finish(config, "route_id")
    }

    fn vless(self, config: &mut Config) -> Result<(), Fault> {
        let row = self.row;
        texts(config, row, &["network", "flow", "encryption"]);
        insert(config, "networkSettings", row.json("network_settings")?);
        insert(config, "tls", row.whole("tls")?);
        insert(config, "tls_settings", row.json("tls_settings")?);
        let settings = row.json("encryption_settings")?;
        insert(config, "encryption_settings", settings);
        Ok(())
    }

    /// A table without versions is of V2board before 1.7.4, which only had version 1, with a key
    /// that it derived from the time of the creation.
    fn hysteria(self, config: &mut Config) -> Result<(), Fault> {
        let row = self.row;
        texts(config, row, &["host", "server_name"]);
        let (up, down) = (row.whole("up_mbps")?, row.whole("down_mbps")?);
        insert(config, "up_mbps", up);
        insert(config, "down_mbps", down);
        let version = row.whole("version")?;
        insert(config, "version", Some(version.unwrap_or(1)));
        match version {
            None => insert(config, "obfs", Some(self.key(16)?)),
            Some(2) => {
                let ignored = up == Some(0) && down == Some(0);
                insert(config, "ignore_client_bandwidth", Some(ignored));
                texts(config, row, &["obfs"]);
                text(config, "obfs-password", row.text("obfs_password"));
            }
            Some(_) => text(config, "obfs", row.text("obfs_password")),
        }
        Ok(())
    }

    /// The configuration of a row of `v2_server_v2node`, which has the columns of all protocols.
    pub fn v2node(self) -> Result<Config, Fault> {
        let row = self.row;
        let mut config = self.start()?;
        self.vless(&mut config)?;
        let names = ["listen_ip", "cipher", "congestion_control", "obfs"];
        texts(&mut config, row, &names);
        text(&mut config, "obfs-password", row.text("obfs_password"));
        let handshake = row.flag("zero_rtt_handshake")?;
        insert(&mut config, "zero_rtt_handshake", Some(handshake));
        let (up, down) = (row.whole("up_mbps")?, row.whole("down_mbps")?);
        insert(&mut config, "up_mbps", up);
        insert(&mut config, "down_mbps", down);
        let ignored = up == Some(0) && down == Some(0);
        insert(&mut config, "ignore_client_bandwidth", Some(ignored));
        padding(&mut config, row.json("padding_scheme")?);
        self.server_key(&mut config)?;
        self.finish(config, "route_id")
    }

    /// The configuration of a row of Xboard's `v2_server`.
    pub fn xboard(self) -> Result<Config, Fault> {
        let settings = self.row.json("protocol_settings")?.unwrap_or_default();
        let settings = Settings(&settings);
        let mut config = self.start()?;
        text(&mut config, "network", settings.text("network"));
        let network = settings.get("network_settings");
        insert(&mut config, "networkSettings", network);
        insert(&mut config, "multiplex", settings.get("multiplex"));
        match self.protocol {
            "vmess" => insert(&mut config, "tls", settings.whole("tls")),
            "vless" => {
                text(&mut config, "flow", settings.text("flow"));
                if settings.is_set("encryption.enabled") {
                    let decryption = settings.text("encryption.decryption");
                    text(&mut config, "decryption", decryption);
                }
                settings.tls(&mut config);
            }
            "trojan" => {
                text(&mut config, "host", self.row.text("host"));
                text(&mut config, "server_name", settings.text("server_name"));
                config.entry("network").or_insert_with(|| json!("tcp"));
                if settings.whole("tls") == Some(2) {
                    settings.tls(&mut config);
                }
            }
            "shadowsocks" => {
                for name in ["cipher", "obfs", "plugin", "plugin_opts"] {
                    text(&mut config, name, settings.text(name));
                }
                insert(&mut config, "obfs_settings", settings.get("obfs_settings"));
                self.server_key(&mut config)?;
            }
            "hysteria" => self.xboard_hysteria(&mut config, settings),
            "tuic" => {
                text(&mut config, "server_name", settings.text("tls.server_name"));
                let control = settings.text("congestion_control");
                text(&mut config, "congestion_control", control);
                insert(&mut config, "zero_rtt_handshake", Some(false));
            }
            "anytls" => {
                text(&mut config, "server_name", settings.text("tls.server_name"));
                padding(&mut config, settings.get("padding_scheme"));
            }
            "socks" => {}
            "naive" | "http" => settings.tls(&mut config),
            "mieru" => {
                let transport = settings.text("transport").unwrap_or("TCP");
                text(&mut config, "transport", Some(transport));
                let pattern = settings.text("traffic_pattern");
                text(&mut config, "traffic_pattern", pattern);
            }
            _ => return Err(unknown_protocol(self.protocol)),
        }
        for name in ["custom_outbounds", "custom_routes", "cert_config"] {
            insert(&mut config, name, self.row.json(name)?.filter(is_filled));
        }
        self.finish(config, "route_ids")
    }

    fn xboard_hysteria(self, config: &mut Config, settings: Settings<'_>) {
        text(config, "host", self.row.text("host"));
        text(config, "server_name", settings.text("tls.server_name"));
        insert(
            config,
            "up_mbps",
            settings.whole("bandwidth.up").or(Some(0)),
        );
        let down = settings.whole("bandwidth.down");
        insert(config, "down_mbps", down.or(Some(0)));
        let version = settings.whole("version").unwrap_or(2);
        insert(config, "version", Some(version));
        let password = settings.text("obfs.password");
        if version == 1 {
            text(config, "obfs", password);
        } else if settings.is_set("obfs.open") {
            let kind = settings.text("obfs.type").unwrap_or("salamander");
            text(config, "obfs", Some(kind));
            text(config, "obfs-password", password);
        }
    }

    fn start(self) -> Result<Config, Fault> {
        let mut config = Config::new();
        text(&mut config, "protocol", Some(self.protocol));
        let port = self.row.required_whole("server_port")?;
        insert(&mut config, "server_port", Some(port));
        Ok(config)
    }

    /// Adds the routes that `column` lists, and brings values into the form that node software
    /// reads.
    fn finish(self, mut config: Config, column: &str) -> Result<Config, Fault> {
        let ids = self.row.numbers(column)?;
        if !ids.is_empty() {
            let routes = self.routes.ok_or_else(|| {
                let missing = "the node has routes; expected --routes with v2_server_route";
                Fault::new(column, missing)
            })?;
            let route = |id: &i64| {
                let unknown = || Fault::new(column, format!("route {id} is not in the table"));
                routes.get(id).cloned().ok_or_else(unknown)
            };
            let routes = ids.iter().map(route).collect::<Result<Vec<_>, _>>()?;
            insert(&mut config, "routes", Some(routes));
        }
        for name in ["tls_settings", "tlsSettings"] {
            if let Some(Value::Object(settings)) = config.get_mut(name) {
                settings.retain(|_, value| !value.is_null());
                for name in ["server_port", "xver"] {
                    numbers_to_texts(settings.get_mut(name));
                }
            }
        }
        Ok(config)
    }

    fn server_key(self, config: &mut Config) -> Result<(), Fault> {
        let length = match config.get("cipher").and_then(Value::as_str) {
            Some("2022-blake3-aes-128-gcm") => 16,
            Some("2022-blake3-aes-256-gcm") => 32,
            _ => return Ok(()),
        };
        insert(config, "server_key", Some(self.key(length)?));
        Ok(())
    }

    /// The key that the panels derive from the time of the creation.
    fn key(self, length: usize) -> Result<String, Fault> {
        let missing = || {
            Fault::new(
                "created_at",
                "has no value, and the node's key depends on it",
            )
        };
        let created_at = self.created_at.ok_or_else(missing)?;
        let digest = Md5::digest(created_at.to_string());
        let key: String = format!("{digest:x}").chars().take(length).collect();
        Ok(BASE64.encode(key))
    }
}

/// Xboard's `protocol_settings`. Names of nested fields follow dots.
#[derive(Debug, Clone, Copy)]
struct Settings<'a>(&'a Value);

impl<'a> Settings<'a> {
    fn at(self, path: &str) -> Option<&'a Value> {
        let found = path
            .split('.')
            .try_fold(self.0, |value, name| value.get(name));
        found.filter(|value| !value.is_null())
    }

    fn get(self, path: &str) -> Option<Value> {
        self.at(path).filter(|value| is_filled(value)).cloned()
    }

    fn text(self, path: &str) -> Option<&'a str> {
        self.at(path)?.as_str()
    }

    fn whole(self, path: &str) -> Option<i64> {
        match self.at(path)? {
            Value::String(text) => text.parse().ok(),
            Value::Bool(flag) => Some((*flag).into()),
            other => other.as_i64(),
        }
    }

    fn is_set(self, path: &str) -> bool {
        self.whole(path).is_some_and(|number| number != 0)
    }

    /// Adds the kind of TLS and its settings, which are elsewhere for REALITY.
    fn tls(self, config: &mut Config) {
        let kind = self.whole("tls");
        let settings = match kind {
            Some(2) => self.get("reality_settings"),
            _ => self.get("tls_settings"),
        };
        insert(config, "tls", kind);
        insert(config, "tls_settings", settings);
    }
}

/// The routes of a table `v2_server_route`.
pub fn route(row: &Row) -> Result<(i64, Value), Fault> {
    let id = row.required_whole("id")?;
    let matches = match row.json("match") {
        Ok(Some(Value::Array(matches))) => matches,
        _ => row
            .required("match")?
            .split(',')
            .map(|text| json!(text.trim()))
            .collect(),
    };
    let mut route = json!({ "id": id, "match": matches, "action": row.required("action")? });
    if let (Some(value), Value::Object(fields)) = (row.text("action_value"), &mut route) {
        text(fields, "action_value", Some(value));
    }
    Ok((id, route))
}

fn unknown_protocol(protocol: &str) -> Fault {
    let message = format!("the protocol {protocol:?} is unknown; nodes of it cannot be served");
    Fault::new("type", message)
}

fn is_filled(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Array(values) => !values.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
        _ => true,
    }
}

fn insert(config: &mut Config, name: &str, value: Option<impl Into<Value>>) {
    if let Some(value) = value.map(Into::into).filter(|value| !value.is_null()) {
        config.insert(name.to_owned(), value);
    }
}

/// Inserts a text that is not empty.
fn text(config: &mut Config, name: &str, value: Option<&str>) {
    insert(config, name, value.filter(|text| !text.is_empty()));
}

fn texts(config: &mut Config, row: &Row, names: &[&str]) {
    for name in names {
        text(config, name, row.text(name));
    }
}

/// Inserts a scheme, which panels keep as a list or as lines.
fn padding(config: &mut Config, scheme: Option<Value>) {
    let scheme = scheme.map(|scheme| match scheme {
        Value::String(lines) => lines.lines().map(Value::from).collect(),
        list => list,
    });
    insert(config, "padding_scheme", scheme.filter(is_filled));
}

fn numbers_to_texts(value: Option<&mut Value>) {
    if let Some(value) = value
        && let Value::Number(number) = value
    {
        *value = json!(number.to_string());
    }
}
