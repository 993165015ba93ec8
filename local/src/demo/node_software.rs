//! Which programs the nodes of the demo fleet run, and their configurations.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use uuid::Uuid;

use super::node::program::Program;

/// Nodes report for every second server, each server with one of the programs in turn. Collectors
/// report for the others.
pub(super) fn program(server: i32) -> Option<Program> {
    if server % 2 == 0 {
        return None;
    }
    if is_ssp(server) {
        return Some(Program::XrayrModMu);
    }
    let turn = usize::try_from(server / 3).unwrap_or_default();
    Program::UNIPROXY.into_iter().cycle().nth(turn)
}

/// Whether a server is compatible with SSPanel instead of V2board.
fn is_ssp(server: i32) -> bool {
    server % 3 == 0
}

/// The configuration of a server's nodes.
pub(super) fn config(program: Option<Program>, name: &str, server: i32) -> Value {
    let host = format!("{name}.example.com");
    if is_ssp(server) {
        return json!({
            "sort": 11,
            "server": host,
            "node_speedlimit": 0,
            "custom_config": {
                "offset_port_node": "443", "network": "ws", "security": "tls", "path": "/",
                "host": host
            }
        });
    }
    if program == Some(Program::Ss22v2b) {
        let key = Uuid::new_v5(&Uuid::NAMESPACE_DNS, host.as_bytes());
        return json!({
            "protocol": "shadowsocks", "server_port": 443, "cipher": "2022-blake3-aes-128-gcm",
            "server_key": BASE64_STANDARD.encode(key.as_bytes())
        });
    }
    json!({ "protocol": "vless", "server_port": 443, "network": "tcp", "tls": 0 })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Map;
    use shared::domain::node::NodeServerCompatibility;
    use shared::domain::node_config::NodeConfig;

    use super::*;
    use crate::demo::fleet::Fleet;

    #[test]
    fn half_of_the_demo_fleet_runs_every_program() {
        let servers = Fleet::plan(1).servers;
        let programs: Vec<Program> = servers.iter().filter_map(|server| server.program).collect();
        assert_eq!(programs.len() * 2, servers.len());
        assert_eq!(programs.into_iter().collect::<BTreeSet<_>>().len(), 7);
    }

    #[test]
    fn every_demo_server_has_a_configuration_for_nodes() {
        for server in Fleet::plan(1).servers {
            let compatibility = if is_ssp(server.id) {
                NodeServerCompatibility::Ssp
            } else {
                NodeServerCompatibility::NewV2b
            };
            let config = server.config.as_object().unwrap();
            let effective = NodeConfig::effective(compatibility, config, &Map::new());
            assert!(effective.unwrap().is_some(), "{}", server.name);
        }
    }
}
