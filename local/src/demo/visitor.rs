//! What a visitor connects to the demo system: a node of their own, and a collector that reads an
//! example of OpenVPN's status file.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;
use shared::clock::{Clock, System};
use tokio::sync::watch;

use super::fleet::{DEMO_USER, Fleet};
use super::node::{Accesses, VISITOR_COLLECTOR, VISITOR_NODE};
use super::stop::stopped_within;
use crate::files::{private_folder, write_private};

/// How often the example's counters grow.
const GROWTH_PERIOD: Duration = Duration::from_secs(5);

const STATUS_FILE: &str = "openvpn-status.log";

/// OpenVPN's status file, with one connection of the demo user.
#[derive(Debug, Clone)]
pub struct StatusFile {
    path: PathBuf,
}

impl StatusFile {
    /// Writes the configuration of a collector into `folder`, and a status file without traffic.
    pub fn create(folder: &Path, url: &str, accesses: &Accesses) -> Result<Self> {
        private_folder(folder)?;
        let file = Self {
            path: folder.join(STATUS_FILE),
        };
        let token = accesses.token(VISITOR_COLLECTOR).unwrap_or_default();
        write_private(&folder.join("token"), token)?;
        let folder_name = folder.display();
        let config = format!(
            "server_id = {VISITOR_COLLECTOR}\nspool = \"{folder_name}/spool\"\n\
             report_seconds = 10\n\n\
             [sink]\nurl = \"{url}\"\ntoken_file = \"{folder_name}/token\"\n\n\
             [[source]]\nkind = \"openvpn\"\npath = \"{folder_name}/{STATUS_FILE}\"\n"
        );
        fs::write(config_file(folder), config)?;
        file.write(System.now().timestamp(), 0)?;
        Ok(file)
    }

    /// Lets the connection carry traffic until `stop` becomes true or its sender is dropped.
    pub async fn grow(self, mut stop: watch::Receiver<bool>) -> Result<()> {
        let since = System.now().timestamp();
        let mut bytes = 0;
        while !stopped_within(&mut stop, GROWTH_PERIOD).await {
            bytes += 50_000;
            self.write(since, bytes)?;
        }
        Ok(())
    }

    fn write(&self, since: i64, bytes: i64) -> Result<()> {
        let sent = bytes * 10;
        let text = format!(
            "TITLE\tOpenVPN 2.6.14\nHEADER\tCLIENT_LIST\tCommon Name\tBytes Received\tBytes Sent\t\
             Connected Since (time_t)\tClient ID\n\
             CLIENT_LIST\t{DEMO_USER}\t{bytes}\t{sent}\t{since}\t0\nEND\n"
        );
        let new = self.path.with_extension("new");
        fs::write(&new, text)?;
        Ok(fs::rename(new, &self.path)?)
    }
}

fn config_file(folder: &Path) -> PathBuf {
    folder.join("config.toml")
}

/// The commands that point a node and a collector at the system.
#[must_use]
pub fn commands(url: &str, fleet: &Fleet, accesses: &Accesses, folder: &Path) -> Vec<String> {
    let server = fleet
        .servers
        .iter()
        .find(|server| server.id == VISITOR_NODE);
    let node = server.and_then(|server| server.clients.first());
    let (Some(node), Some(token)) = (node, accesses.token(VISITOR_NODE)) else {
        return Vec::new();
    };
    vec![
        String::new(),
        format!("  A node of your own (V2bX, v2node, XrayR): ApiHost {url}, NodeID {node},"),
        format!("  ApiKey {token}. It asks for its users like this:"),
        format!(
            "    curl -s '{url}/api/v1/server/UniProxy/user?node_id={node}&node_type=vless\
             &token={token}'"
        ),
        "  A collector of your own, which reads an example of OpenVPN's status file (run, check):"
            .to_owned(),
        format!(
            "    cargo run -qp telecom-collector -- --config {} run",
            config_file(folder).display()
        ),
    ]
}
