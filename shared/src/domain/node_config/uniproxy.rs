//! Configurations of `UniProxy` nodes.
//!
//! The forms are those that all of `XrayR`, `V2bX`, `v2node` and `Xboard-Node` accept.

use std::fmt;

use serde_json::{Map, Value};
use strum::{EnumString, IntoStaticStr, VariantNames};

use super::cipher::{CIPHERS, check_key};
use super::fields::Form::{
    DigitsText, FilledText, Flag, List, Object, OneOf, Port, PortText, Text, Texts, Whole,
};
use super::fields::{Fields, Form, Rule};
use crate::error::Error;

/// Protocol of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EnumString, IntoStaticStr, VariantNames)]
#[strum(serialize_all = "lowercase")]
pub enum Protocol {
    /// `VMess` over one of several transports.
    Vmess,
    /// VLESS over one of several transports.
    Vless,
    /// Trojan over one of several transports.
    Trojan,
    /// Shadowsocks, the version of 2022 included.
    Shadowsocks,
    /// Hysteria, of version 1 unless the configuration has a `version`.
    Hysteria,
    /// Hysteria of version 2.
    Hysteria2,
    /// TUIC, a protocol over QUIC.
    Tuic,
    /// `AnyTLS`, a protocol over TLS.
    Anytls,
    /// SOCKS, which only `Xboard-Node` serves.
    Socks,
    /// HTTP, which only `Xboard-Node` serves.
    Http,
    /// Naive, which only `Xboard-Node` serves.
    Naive,
    /// Mieru, which only `Xboard-Node` serves.
    Mieru,
}

/// Transports below `VMess`, VLESS and Trojan.
const NETWORKS: &[&str] = &[
    "tcp",
    "ws",
    "grpc",
    "http",
    "h2",
    "kcp",
    "mkcp",
    "quic",
    "httpupgrade",
    "splithttp",
    "xhttp",
];
const CONGESTION_CONTROLS: &[&str] = &["cubic", "new_reno", "bbr"];
const SECONDS: Form = Whole(1, 86_400);
const KILOBYTES: Form = Whole(0, 1_000_000_000);
const MBPS: Form = Whole(0, 1_000_000);

/// What every stored configuration of a server keeps to, even one that is not for nodes.
const STORED: &[Rule<'_>] = &[
    ("protocol", Text),
    ("server_port", Port),
    ("base_config", Object),
    ("base_config.push_interval", SECONDS),
    ("base_config.pull_interval", SECONDS),
    ("routes", List),
];

/// The fields that node software reads, apart from those in objects.
const READ: &[Rule<'_>] = &[
    ("protocol", OneOf(Protocol::VARIANTS)),
    ("listen_ip", Text),
    ("host", Text),
    ("server_name", Text),
    ("network", OneOf(NETWORKS)),
    ("tls", Whole(0, 2)),
    ("flow", Text),
    ("encryption", Text),
    ("decryption", Text),
    ("cipher", OneOf(CIPHERS)),
    ("server_key", Text),
    ("plugin", Text),
    ("plugin_opts", Text),
    ("obfs", Text),
    ("obfs-password", Text),
    ("version", Whole(1, 2)),
    ("up_mbps", MBPS),
    ("down_mbps", MBPS),
    ("ignore_client_bandwidth", Flag),
    ("congestion_control", OneOf(CONGESTION_CONTROLS)),
    ("zero_rtt_handshake", Flag),
    ("padding_scheme", Texts),
    ("accept_proxy_protocol", Flag),
    ("multiplex", Object),
    ("cert_config", Object),
    ("kernel_type", Text),
    ("custom_outbounds", List),
    ("custom_routes", List),
    ("custom_route_rules", List),
    ("transport", Text),
    ("traffic_pattern", Text),
];

const TRAFFIC: &[Rule<'_>] = &[
    ("node_report_min_traffic", KILOBYTES),
    ("device_online_min_traffic", KILOBYTES),
];
const NETWORK_SETTINGS: &[Rule<'_>] = &[
    ("path", Text),
    ("host", Text),
    ("serviceName", Text),
    ("headers", Object),
    ("header", Object),
];
const TLS_SETTINGS: &[Rule<'_>] = &[
    ("server_name", Text),
    ("server_names", Texts),
    ("dest", Text),
    ("server_port", PortText),
    ("short_id", Text),
    ("short_ids", Texts),
    ("private_key", Text),
    ("mldsa65Seed", Text),
    ("xver", DigitsText),
    ("cert_mode", Text),
    ("cert_file", Text),
    ("key_file", Text),
    ("provider", Text),
    ("dns_env", Text),
    ("reject_unknown_sni", Text),
];
const ENCRYPTION_SETTINGS: &[Rule<'_>] = &[
    ("mode", Text),
    ("ticket", Text),
    ("server_padding", Text),
    ("private_key", Text),
];

/// Objects that have two names. Each client reads one of them, some for one protocol only.
const ALIASES: [(&str, &str); 2] = [
    ("networkSettings", "network_settings"),
    ("tlsSettings", "tls_settings"),
];

/// The configuration of a `UniProxy` node.
#[derive(Clone, PartialEq)]
pub struct UniProxyConfig {
    /// Protocol of the node.
    pub protocol: Protocol,
    /// Port on which the node serves users.
    pub server_port: u16,
    /// All fields, as the node receives them. The intervals in `base_config` are not those of the
    /// node.
    pub fields: Map<String, Value>,
}

/// Omits the fields, which contain keys.
impl fmt::Debug for UniProxyConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UniProxyConfig")
            .field("protocol", &self.protocol)
            .field("server_port", &self.server_port)
            .finish_non_exhaustive()
    }
}

impl UniProxyConfig {
    /// The configuration in the fields. `None` if there is no `protocol`.
    pub(super) fn of(fields: Fields<'_>) -> Result<Option<Self>, Error> {
        let Some(protocol) = fields.get("protocol") else {
            return Ok(None);
        };
        check(fields)?;
        fields.require(&[("server_port", Port)])?;
        let port = fields.get("server_port").and_then(Value::as_u64);
        let protocol = protocol.as_str().and_then(|name| name.parse().ok());
        let (Some(protocol), Some(server_port)) =
            (protocol, port.and_then(|port| port.try_into().ok()))
        else {
            return Err(fields.invalid("protocol", "a protocol and a port"));
        };
        require(fields, protocol)?;
        Ok(Some(Self {
            protocol,
            server_port,
            fields: with_aliases(fields.merged()),
        }))
    }
}

/// Gives objects their other name, too.
fn with_aliases(mut fields: Map<String, Value>) -> Map<String, Value> {
    for (first, second) in ALIASES {
        for (given, other) in [(first, second), (second, first)] {
            let is_given = |name| {
                fields
                    .get(name)
                    .is_some_and(|value: &Value| !value.is_null())
            };
            if is_given(given) && !is_given(other) {
                let value = fields.get(given).cloned().unwrap_or_default();
                fields.insert(other.to_owned(), value);
            }
        }
    }
    fields
}

/// Checks the values of fields that may be missing.
pub(super) fn check(fields: Fields<'_>) -> Result<(), Error> {
    fields.check(STORED)?;
    if fields.get("protocol").is_none() {
        return Ok(());
    }
    fields.check(READ)?;
    fields.check_object("base_config", TRAFFIC)?;
    fields.check_object("networkSettings", NETWORK_SETTINGS)?;
    fields.check_object("network_settings", NETWORK_SETTINGS)?;
    fields.check_object("tlsSettings", TLS_SETTINGS)?;
    fields.check_object("tls_settings", TLS_SETTINGS)?;
    fields.check_object("encryption_settings", ENCRYPTION_SETTINGS)?;
    fields.check_object("obfs_settings", &[("path", Text), ("host", Text)])?;
    check_key(fields, "cipher", "server_key", false)?;
    check_routes(fields)
}

/// Checks that a node of `protocol` has what it needs.
fn require(fields: Fields<'_>, protocol: Protocol) -> Result<(), Error> {
    match protocol {
        Protocol::Vmess | Protocol::Vless | Protocol::Trojan => {
            fields.require(&[("network", OneOf(NETWORKS))])?;
            let is_reality = fields.get("tls").and_then(Value::as_i64) == Some(2);
            if is_reality {
                require_reality(fields)?;
            }
            Ok(())
        }
        Protocol::Shadowsocks => {
            fields.require(&[("cipher", OneOf(CIPHERS))])?;
            check_key(fields, "cipher", "server_key", true)
        }
        Protocol::Hysteria | Protocol::Hysteria2 => {
            let version = fields.get("version").and_then(Value::as_i64);
            let is_second = protocol == Protocol::Hysteria2 || version == Some(2);
            if is_second && !fields.text("obfs").is_empty() {
                fields.require(&[("obfs-password", FilledText)])?;
            }
            Ok(())
        }
        Protocol::Tuic
        | Protocol::Anytls
        | Protocol::Socks
        | Protocol::Http
        | Protocol::Naive
        | Protocol::Mieru => Ok(()),
    }
}

/// Checks that a node with REALITY has a private key and a target. Without them it does not start.
fn require_reality(fields: Fields<'_>) -> Result<(), Error> {
    let parent = ["tlsSettings", "tls_settings"]
        .into_iter()
        .find(|name| fields.get(name).is_some())
        .unwrap_or("tls_settings");
    let path = |name: &str| format!("{parent}.{name}");
    for (name, form) in [("private_key", FilledText), ("server_port", PortText)] {
        fields.require(&[(&path(name), form)])?;
    }
    let has_names = fields
        .get(&path("server_names"))
        .is_some_and(|names| names.as_array().is_some_and(|names| !names.is_empty()));
    if has_names {
        return fields.require(&[(&path("dest"), FilledText)]);
    }
    fields.require(&[(&path("server_name"), FilledText)])
}

/// Checks the routes. `V2bX` stops at one whose `match` is not a list.
fn check_routes(fields: Fields<'_>) -> Result<(), Error> {
    let routes = fields.get("routes").and_then(Value::as_array);
    for (index, route) in routes.into_iter().flatten().enumerate() {
        let path = |name: &str| format!("routes[{index}].{name}");
        if !route.is_object() {
            return Err(fields.invalid(&format!("routes[{index}]"), "an object"));
        }
        let matched = route.get("match").and_then(Value::as_array);
        if !matched.is_some_and(|texts| !texts.is_empty() && texts.iter().all(Value::is_string)) {
            return Err(fields.invalid(&path("match"), "a list of texts that is not empty"));
        }
        if !route.get("action").is_some_and(Value::is_string) {
            return Err(fields.invalid(&path("action"), "a text"));
        }
        let value = route.get("action_value");
        if !value.is_none_or(|value| value.is_null() || value.is_string()) {
            return Err(fields.invalid(&path("action_value"), "a text"));
        }
        let id = route.get("id");
        if !id.is_none_or(|id| id.is_null() || id.is_i64()) {
            return Err(fields.invalid(&path("id"), "a whole number"));
        }
    }
    Ok(())
}
