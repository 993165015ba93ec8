//! Access of node software and of collectors to the endpoints for nodes.

use std::net::IpAddr;

use chrono::{DateTime, Utc};
use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use strum::{EnumString, IntoStaticStr, VariantNames};
use uuid::Uuid;

use super::page::PageBounds;
use super::{node_id, within};
use crate::error::Error;

/// Limits of a page of accesses.
pub const PAGES: PageBounds = PageBounds {
    default_limit: 50,
    max_limit: 200,
    max_offset: 1_000_000,
};
/// Interval at which node software pushes and pulls, unless an administrator chooses another one.
pub const DEFAULT_INTERVAL_SECONDS: i32 = 60;
/// Accepted intervals. In shorter ones, a repeated push could not be told from the next one.
const INTERVALS: (i64, i64) = (60, 3600);
/// Accepted times that node software waits for a response.
const TIMEOUTS: (i64, i64) = (1, 300);
/// Maximum number of allowed networks of an access.
const MAX_NETWORKS: usize = 32;

/// How a node talks to us.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    EnumString,
    IntoStaticStr,
    VariantNames,
    Serialize,
    Deserialize,
    JsonSchema,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum NodeProtocol {
    /// The protocol of V2board and Xboard, in its versions 1 and 2.
    Uniproxy,
    /// The protocol of SSPanel.
    ModMu,
    /// Usage reports of a collector, in our own format.
    UsageReport,
}

/// The program that uses an access. Programs differ in what they do with a push that was not
/// answered.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    EnumString,
    IntoStaticStr,
    VariantNames,
    Serialize,
    Deserialize,
    JsonSchema,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum NodeSoftware {
    /// XrayR, with the one or the other protocol.
    Xrayr,
    /// V2bX, which clears its counters first.
    V2bx,
    /// v2node, which takes any response for success.
    V2node,
    /// Xboard-Node, the program in Go.
    XboardNode,
    /// xboard-node-rust, which stores each push first.
    XboardNodeRust,
    /// ss22v2b, which never repeats a push.
    Ss22v2b,
    /// A collector that sends usage reports.
    Collector,
    /// Any program that is not listed.
    Other,
}

impl NodeSoftware {
    /// Whether the next push after one without an answer may contain the same traffic again.
    /// Assumed of programs that are not known.
    #[must_use]
    pub fn resends_larger(self) -> bool {
        match self {
            Self::Xrayr | Self::XboardNode | Self::Other => true,
            Self::V2bx | Self::V2node | Self::XboardNodeRust | Self::Ss22v2b | Self::Collector => {
                false
            }
        }
    }

    /// Time that the program waits for a response with its sample configuration, in seconds.
    #[must_use]
    pub fn timeout_seconds(self) -> i32 {
        match self {
            Self::V2node => 15,
            Self::Other => 5,
            _ => 30,
        }
    }
}

/// What an administrator chooses for an access.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NodeAccessSettings {
    /// How the node talks to us.
    pub protocol: NodeProtocol,
    /// The program that uses the access.
    pub software: NodeSoftware,
    /// The server for which the access may report.
    pub server_id: i32,
    /// The only client for which the access may report. `None` for all clients of the server.
    pub node_client_id: Option<i32>,
    /// Networks from which requests may come. Empty for all.
    pub allowed_networks: Vec<String>,
    /// Interval at which the program pushes and pulls, in seconds.
    pub interval_seconds: i32,
    /// Time that the program waits for a response, in seconds.
    pub client_timeout_seconds: i32,
}

/// The choices for an access, some of which may be left to defaults.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewNodeAccess {
    /// How the node talks to us.
    pub protocol: NodeProtocol,
    /// The program that uses the access. Default: `collector` for the protocol `usage_report`,
    /// and `other` for the others.
    pub software: Option<NodeSoftware>,
    /// The server for which the access may report.
    #[schemars(range(min = 1))]
    pub server_id: i32,
    /// The only client for which the access may report. Default: all clients of the server.
    #[schemars(range(min = 1))]
    pub node_client_id: Option<i32>,
    /// Networks from which requests may come, such as `203.0.113.0/24`. Default: all.
    #[serde(default)]
    #[schemars(length(max = MAX_NETWORKS))]
    pub allowed_networks: Vec<String>,
    /// Interval at which the program pushes and pulls, in seconds. Default: 60.
    #[schemars(range(min = 60, max = 3600))]
    pub interval_seconds: Option<i32>,
    /// Time that the program waits for a response, in seconds. Default: that of the program's
    /// sample configuration.
    #[schemars(range(min = 1, max = 300))]
    pub client_timeout_seconds: Option<i32>,
}

impl From<NewNodeAccess> for NodeAccessSettings {
    fn from(new: NewNodeAccess) -> Self {
        let software = new.software.unwrap_or(match new.protocol {
            NodeProtocol::UsageReport => NodeSoftware::Collector,
            NodeProtocol::Uniproxy | NodeProtocol::ModMu => NodeSoftware::Other,
        });
        Self {
            protocol: new.protocol,
            software,
            server_id: new.server_id,
            node_client_id: new.node_client_id,
            allowed_networks: new.allowed_networks,
            interval_seconds: new.interval_seconds.unwrap_or(DEFAULT_INTERVAL_SECONDS),
            client_timeout_seconds: new
                .client_timeout_seconds
                .unwrap_or_else(|| software.timeout_seconds()),
        }
    }
}

impl NodeAccessSettings {
    /// Returns the settings with networks in their canonical form, or an error for the first
    /// invalid field.
    pub fn checked(self) -> Result<Self, Error> {
        node_id("server_id", self.server_id)?;
        if let Some(id) = self.node_client_id {
            node_id("node_client_id", id)?;
        }
        let (least, most) = INTERVALS;
        within(
            "interval_seconds",
            self.interval_seconds.into(),
            least,
            most,
        )?;
        let (least, most) = TIMEOUTS;
        within(
            "client_timeout_seconds",
            self.client_timeout_seconds.into(),
            least,
            most,
        )?;
        let is_report = self.protocol == NodeProtocol::UsageReport;
        if is_report != (self.software == NodeSoftware::Collector) {
            return Err(Error::parameter(
                "software",
                "`collector` for the protocol `usage_report`, and another program for the others",
            ));
        }
        let networks = self.allowed_networks.iter().map(|text| network(text));
        let allowed_networks = networks.collect::<Result<Vec<_>, _>>()?;
        if allowed_networks.len() > MAX_NETWORKS {
            let accepted = format!("at most {MAX_NETWORKS} networks");
            return Err(Error::parameter("allowed_networks", &accepted));
        }
        Ok(Self {
            allowed_networks,
            ..self
        })
    }
}

/// The canonical form of a network, or of a single address.
fn network(text: &str) -> Result<String, Error> {
    let text = text.trim();
    let parsed = text
        .parse::<IpNet>()
        .or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
    let accepted = "networks such as `203.0.113.0/24` or `2001:db8::/48`, or addresses";
    parsed
        .map(|network| network.trunc().to_string())
        .map_err(|_| Error::parameter("allowed_networks", accepted))
}

/// A token, which is shown once and stored as its hash.
#[derive(Clone, PartialEq, Eq)]
pub struct NodeToken(String);

impl NodeToken {
    /// A new token of 244 random bits.
    #[must_use]
    pub fn random() -> Self {
        let (first, second) = (Uuid::new_v4().simple(), Uuid::new_v4().simple());
        Self(format!("{first}{second}"))
    }

    /// A token that a request presents.
    #[must_use]
    pub fn presented(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// SHA-256 of the token. A token has too many random bits for a hash to be guessed, so the
    /// hash needs no salt, and is looked up by an index.
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        Sha256::digest(self.0.as_bytes()).into()
    }

    /// The token, for the only response that shows it.
    #[must_use]
    pub fn show(self) -> String {
        self.0
    }
}

impl std::fmt::Debug for NodeToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("NodeToken")
    }
}

/// The access of a node, without its token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NodeAccess {
    /// Id of the access.
    pub id: i64,
    /// How the node talks to us.
    pub protocol: NodeProtocol,
    /// The program that uses the access.
    pub software: NodeSoftware,
    /// The server for which the access may report.
    pub server_id: i32,
    /// The only client for which the access may report. `null` for all clients of the server.
    pub node_client_id: Option<i32>,
    /// Networks from which requests may come. Empty for all.
    pub allowed_networks: Vec<String>,
    /// Interval at which the program pushes and pulls, in seconds.
    pub interval_seconds: i32,
    /// Time that the program waits for a response, in seconds.
    pub client_timeout_seconds: i32,
    /// When the access was issued.
    pub created_at: DateTime<Utc>,
    /// When the access was revoked. `null` if it is valid.
    pub revoked_at: Option<DateTime<Utc>>,
}

impl NodeAccess {
    /// Whether requests may come from `address`. `None` stands for an unknown address.
    #[must_use]
    pub fn allows(&self, address: Option<IpAddr>) -> bool {
        let contains = |network: &String| {
            let network = network.parse::<IpNet>().ok();
            address
                .zip(network)
                .is_some_and(|(address, network)| network.contains(&address.to_canonical()))
        };
        self.allowed_networks.is_empty() || self.allowed_networks.iter().any(contains)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn settings() -> NodeAccessSettings {
        NodeAccessSettings {
            protocol: NodeProtocol::Uniproxy,
            software: NodeSoftware::Xrayr,
            server_id: 1,
            node_client_id: None,
            allowed_networks: vec![],
            interval_seconds: 60,
            client_timeout_seconds: 30,
        }
    }

    #[test]
    fn networks_are_stored_in_their_canonical_form() {
        let allowed_networks = vec![" 203.0.113.7/24 ".into(), "2001:DB8::1".into()];
        let checked = NodeAccessSettings {
            allowed_networks,
            ..settings()
        }
        .checked()
        .unwrap();
        assert_eq!(
            checked.allowed_networks,
            ["203.0.113.0/24", "2001:db8::1/128"]
        );
    }

    #[rstest]
    #[case(NodeAccessSettings { interval_seconds: 59, ..settings() }, "interval_seconds")]
    #[case(NodeAccessSettings { interval_seconds: 3601, ..settings() }, "interval_seconds")]
    #[case(
        NodeAccessSettings { client_timeout_seconds: 0, ..settings() },
        "client_timeout_seconds"
    )]
    #[case(NodeAccessSettings { server_id: 0, ..settings() }, "server_id")]
    #[case(NodeAccessSettings { node_client_id: Some(0), ..settings() }, "node_client_id")]
    #[case(NodeAccessSettings { software: NodeSoftware::Collector, ..settings() }, "software")]
    #[case(NodeAccessSettings { protocol: NodeProtocol::UsageReport, ..settings() }, "software")]
    #[case(
        NodeAccessSettings { allowed_networks: vec!["10.0.0.0/33".into()], ..settings() },
        "allowed_networks"
    )]
    #[case(
        NodeAccessSettings { allowed_networks: vec!["10.0.0.1".into(); 33], ..settings() },
        "allowed_networks"
    )]
    fn invalid_settings_are_refused_by_field(
        #[case] settings: NodeAccessSettings,
        #[case] field: &str,
    ) {
        assert_eq!(settings.checked().unwrap_err().field(), Some(field));
    }

    #[rstest]
    #[case(&[], None, true)]
    #[case(&["203.0.113.0/24"], Some("203.0.113.9"), true)]
    #[case(&["203.0.113.0/24"], Some("::ffff:203.0.113.9"), true)]
    #[case(&["203.0.113.0/24"], Some("203.0.114.9"), false)]
    #[case(&["203.0.113.0/24", "2001:db8::/32"], Some("2001:db8:1::1"), true)]
    #[case(&["203.0.113.0/24"], None, false)]
    fn requests_may_come_from_allowed_networks_only(
        #[case] networks: &[&str],
        #[case] address: Option<&str>,
        #[case] allowed: bool,
    ) {
        let access = NodeAccess {
            id: 1,
            protocol: NodeProtocol::Uniproxy,
            software: NodeSoftware::Other,
            server_id: 1,
            node_client_id: None,
            allowed_networks: networks.iter().map(|&network| network.to_owned()).collect(),
            interval_seconds: 60,
            client_timeout_seconds: 30,
            created_at: DateTime::UNIX_EPOCH,
            revoked_at: None,
        };
        let address = address.map(|address| address.parse().unwrap());
        assert_eq!(access.allows(address), allowed);
    }

    #[test]
    fn tokens_differ_and_are_not_shown_by_debug() {
        let (one, other) = (NodeToken::random(), NodeToken::random());
        assert_ne!(one.hash(), other.hash());
        assert_eq!(format!("{one:?}"), "NodeToken");
        let text = one.clone().show();
        assert_eq!(text.len(), 64);
        assert_eq!(NodeToken::presented(&text).hash(), one.hash());
    }
}
