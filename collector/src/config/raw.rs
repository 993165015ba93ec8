//! The configuration file as it is written.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Raw {
    pub server_id: i32,
    #[serde(default = "default_spool")]
    pub spool: PathBuf,
    #[serde(default = "default_spool_max_mib")]
    pub spool_max_mib: i64,
    #[serde(default = "default_read_seconds", deserialize_with = "number")]
    pub read_seconds: f64,
    #[serde(default = "default_report_seconds", deserialize_with = "number")]
    pub report_seconds: f64,
    pub metrics_listen: Option<String>,
    #[serde(default = "default_log")]
    pub log: String,
    pub users_file: Option<PathBuf>,
    pub sink: RawSink,
    #[serde(default)]
    pub users: BTreeMap<String, String>,
    #[serde(default)]
    pub source: Vec<RawSource>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawSink {
    pub url: Option<String>,
    pub token: Option<String>,
    pub token_file: Option<PathBuf>,
    pub ca_file: Option<PathBuf>,
    pub queue_url: Option<String>,
}

impl std::fmt::Debug for RawSink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RawSink").finish_non_exhaustive()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    V2ray,
    Xray,
    Hysteria2,
    Wireguard,
    Openvpn,
}

impl Kind {
    pub const fn text(self) -> &'static str {
        match self {
            Self::V2ray => "v2ray",
            Self::Xray => "xray",
            Self::Hysteria2 => "hysteria2",
            Self::Wireguard => "wireguard",
            Self::Openvpn => "openvpn",
        }
    }

    /// The keys of this kind besides those of every kind.
    pub const fn keys(self) -> &'static [&'static str] {
        match self {
            Self::V2ray | Self::Xray => &["address"],
            Self::Hysteria2 => &["address", "secret", "secret_file", "process"],
            Self::Wireguard => &["command", "interface"],
            Self::Openvpn => &["path"],
        }
    }
}

/// Has the keys of all kinds. `validate` rejects those of other kinds.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawSource {
    pub kind: Kind,
    pub name: Option<String>,
    pub node_client_id: Option<i32>,
    #[serde(default)]
    pub ignore: Vec<String>,
    pub address: Option<String>,
    pub secret: Option<String>,
    pub secret_file: Option<PathBuf>,
    pub process: Option<String>,
    pub command: Option<Vec<String>>,
    pub interface: Option<String>,
    pub path: Option<PathBuf>,
}

/// TOML tells 10 from 10.0. Both are seconds.
fn number<'de, D: serde::Deserializer<'de>>(input: D) -> Result<f64, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "expected a number of seconds")]
    enum Number {
        Whole(u32),
        Fraction(f64),
    }
    Ok(match Number::deserialize(input)? {
        Number::Whole(seconds) => f64::from(seconds),
        Number::Fraction(seconds) => seconds,
    })
}

fn default_spool() -> PathBuf {
    PathBuf::from("/var/lib/telecom-collector")
}

const fn default_spool_max_mib() -> i64 {
    512
}

const fn default_read_seconds() -> f64 {
    10.0
}

const fn default_report_seconds() -> f64 {
    60.0
}

fn default_log() -> String {
    "info".to_owned()
}
