//! Configurations of `mod_mu` nodes.
//!
//! `XrayR` reads the texts in `custom_config` as texts, and refuses numbers in their place.

use std::fmt;

use serde_json::{Map, Value};

use super::cipher::{CIPHERS_2022, PASSWORD_CIPHERS, check_key, key_bytes};
use super::fields::Form::{FilledText, Flag, Object, OneOf, PortText, Text, Texts, Whole};
use super::fields::{Fields, Rule, port};
use crate::error::Error;

/// The kind of a node, a number in the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Sort {
    /// Shadowsocks, the number 0.
    Shadowsocks,
    /// Shadowsocks 2022, the number 1.
    Shadowsocks2022,
    /// TUIC, the number 2.
    Tuic,
    /// `VMess` or VLESS, the number 11.
    Vmess,
    /// Trojan, the number 14.
    Trojan,
}

impl Sort {
    const ALL: [Self; 5] = [
        Self::Shadowsocks,
        Self::Shadowsocks2022,
        Self::Tuic,
        Self::Vmess,
        Self::Trojan,
    ];

    /// The number that stands for the kind.
    #[must_use]
    pub fn number(self) -> i32 {
        match self {
            Self::Shadowsocks => 0,
            Self::Shadowsocks2022 => 1,
            Self::Tuic => 2,
            Self::Vmess => 11,
            Self::Trojan => 14,
        }
    }

    fn of(value: &Value) -> Option<Self> {
        let number = value.as_i64()?;
        Self::ALL
            .into_iter()
            .find(|sort| i64::from(sort.number()) == number)
    }
}

/// What every stored configuration of a server keeps to, even one that is not for nodes.
const STORED: &[Rule<'_>] = &[("server", Text), ("custom_config", Object)];

/// The fields of `custom_config`, which are texts unless they are listed below.
const TEXTS: &str = "offset_port_user server_sub host method server_key mu_port mu_encryption \
     mu_protocol mu_obfs mu_suffix v2_port tls enable_vless alter_id security path obfs \
     trojan_port allow_insecure grpc servicename enable_xtls flow";
const OTHERS: &[Rule<'_>] = &[
    ("offset_port_node", PortText),
    ("network", Text),
    ("verify_cert", Flag),
    ("enable_reality", Flag),
    ("header", Object),
    ("reality-opts", Object),
];

/// Paths of the fields on which the kind of a node depends.
const PORT: &str = "custom_config.offset_port_node";
const METHOD: &str = "custom_config.method";
const SERVER_KEY: &str = "custom_config.server_key";

/// The configuration of a `mod_mu` node.
#[derive(Clone, PartialEq)]
pub struct ModMuConfig {
    /// The kind of the node.
    pub sort: Sort,
    /// Address of the server.
    pub server: String,
    /// Speed limit of the node in Mbit/s. 0 if there is none.
    pub speed_limit_mbps: i32,
    /// Port on which the node serves users.
    pub port: u16,
    /// Shadowsocks cipher. Empty for other nodes.
    pub method: String,
    /// Length of the users' keys for Shadowsocks 2022, bytes. `None` for other nodes.
    pub key_bytes: Option<usize>,
    /// The configuration of the node's software, as the node receives it.
    pub custom_config: Map<String, Value>,
}

/// Omits the fields that contain keys.
impl fmt::Debug for ModMuConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ModMuConfig")
            .field("sort", &self.sort)
            .field("server", &self.server)
            .field("port", &self.port)
            .finish_non_exhaustive()
    }
}

impl ModMuConfig {
    /// The configuration in the fields. `None` if there is no `sort`.
    pub(super) fn of(fields: Fields<'_>) -> Result<Option<Self>, Error> {
        let Some(sort) = fields.get("sort") else {
            return Ok(None);
        };
        check(fields)?;
        fields.require(&[("server", FilledText), ("custom_config", Object)])?;
        fields.require(&[(PORT, PortText)])?;
        let (Some(sort), Some(port)) = (Sort::of(sort), port(fields.text(PORT))) else {
            return Err(fields.invalid("sort", SORTS));
        };
        require(fields, sort)?;
        let custom_config = fields.get("custom_config").and_then(Value::as_object);
        let limit = fields.get("node_speedlimit").and_then(Value::as_i64);
        let method = fields.text(METHOD);
        Ok(Some(Self {
            sort,
            server: fields.text("server").to_owned(),
            speed_limit_mbps: limit
                .and_then(|limit| limit.try_into().ok())
                .unwrap_or_default(),
            port,
            method: method.to_owned(),
            key_bytes: key_bytes(method).filter(|_| sort == Sort::Shadowsocks2022),
            custom_config: custom_config.cloned().unwrap_or_default(),
        }))
    }
}

const SORTS: &str =
    "one of: 0 (Shadowsocks), 1 (Shadowsocks 2022), 2 (TUIC), 11 (VMess, VLESS), 14 (Trojan)";

/// Checks the values of fields that may be missing.
pub(super) fn check(fields: Fields<'_>) -> Result<(), Error> {
    fields.check(STORED)?;
    let Some(sort) = fields.get("sort") else {
        return Ok(());
    };
    if Sort::of(sort).is_none() {
        return Err(fields.invalid("sort", SORTS));
    }
    fields.check(&[("node_speedlimit", Whole(0, 1_000_000))])?;
    let texts: Vec<Rule<'_>> = TEXTS.split_whitespace().map(|name| (name, Text)).collect();
    fields.check_object("custom_config", &texts)?;
    fields.check_object("custom_config", OTHERS)?;
    let reality = [
        ("dest", Text),
        ("private_key", Text),
        ("server_names", Texts),
        ("short_ids", Texts),
    ];
    fields.check_object("custom_config.reality-opts", &reality)
}

/// Checks that a node of `sort` has what it needs.
fn require(fields: Fields<'_>, sort: Sort) -> Result<(), Error> {
    match sort {
        Sort::Shadowsocks => fields.require(&[(METHOD, OneOf(PASSWORD_CIPHERS))]),
        Sort::Shadowsocks2022 => {
            fields.require(&[(METHOD, OneOf(CIPHERS_2022))])?;
            check_key(fields, METHOD, SERVER_KEY, true)
        }
        Sort::Vmess => {
            fields.require(&[("custom_config.network", FilledText)])?;
            let enabled = fields.get("custom_config.enable_reality");
            if enabled.and_then(Value::as_bool) == Some(true) {
                fields.require(&[
                    ("custom_config.reality-opts.dest", FilledText),
                    ("custom_config.reality-opts.private_key", FilledText),
                    ("custom_config.reality-opts.server_names", Texts),
                    ("custom_config.reality-opts.short_ids", Texts),
                ])?;
            }
            Ok(())
        }
        Sort::Tuic | Sort::Trojan => Ok(()),
    }
}
