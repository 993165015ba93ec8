//! The configuration that a node receives: that of a server, overlaid by that of a client.
//!
//! `docs/NODES.md` (*Configuration*) lists the fields.

mod cipher;
mod fields;
mod mod_mu;
mod uniproxy;

use serde_json::{Map, Value};

pub use mod_mu::{ModMuConfig, Sort};
pub use uniproxy::{Protocol, UniProxyConfig};

use super::node::NodeServerCompatibility;
use crate::error::Error;
use fields::Fields;

/// A configuration that node software can use.
#[derive(Debug, Clone, PartialEq)]
pub enum NodeConfig {
    /// The configuration of a `UniProxy` node.
    UniProxy(UniProxyConfig),
    /// The configuration of a `mod_mu` node.
    ModMu(ModMuConfig),
}

impl NodeConfig {
    /// The configuration of the node that a client of a server stands for. `None` if it is not for
    /// node software: it has no `protocol` (`UniProxy`) or no `sort` (`mod_mu`).
    ///
    /// The error names the field and what is accepted.
    pub fn effective(
        compatibility: NodeServerCompatibility,
        server_config: &Map<String, Value>,
        client_config: &Map<String, Value>,
    ) -> Result<Option<Self>, Error> {
        let fields = Fields {
            server: server_config,
            client: client_config,
        };
        match compatibility {
            NodeServerCompatibility::NewV2b => {
                UniProxyConfig::of(fields).map(|config| config.map(Self::UniProxy))
            }
            NodeServerCompatibility::Ssp => {
                ModMuConfig::of(fields).map(|config| config.map(Self::ModMu))
            }
        }
    }
}

/// Checks the values in the configuration of a server. Fields may be missing, because its clients
/// may have them.
pub(super) fn check_server(
    compatibility: NodeServerCompatibility,
    server_config: &Map<String, Value>,
) -> Result<(), Error> {
    let fields = Fields {
        server: server_config,
        client: &Map::new(),
    };
    match compatibility {
        NodeServerCompatibility::NewV2b => uniproxy::check(fields),
        NodeServerCompatibility::Ssp => mod_mu::check(fields),
    }
}

#[cfg(test)]
mod tests;
