//! Checks of a report against the fleet: whether its server is in use, and which node clients its
//! lines may name.

use std::collections::HashMap;

use chrono::{DateTime, Utc};

use crate::db::Connection;
use crate::db::node::{self, ClientFactor, ReportedServer};
use crate::domain::traffic::Factor;
use crate::error::Error;
use crate::events::usage_report::{UsageLine, UsageReport};

/// The servers that a batch names, with their clients.
pub(in crate::services::queue) struct Fleet(HashMap<i32, ReportedServer>);

impl Fleet {
    pub async fn read(
        connection: &mut Connection,
        servers: impl Iterator<Item = i32>,
    ) -> Result<Self, Error> {
        let servers: Vec<i32> = servers.collect();
        Ok(Self(node::client_factors(connection, &servers).await?))
    }

    /// The codes of a report whose server does not exist, or was archived.
    pub const GONE: [&str; 2] = [Self::UNKNOWN_SERVER, Self::ARCHIVED_SERVER];
    const UNKNOWN_SERVER: &str = "unknown_server";
    const ARCHIVED_SERVER: &str = "node_server_archived";

    pub fn check_server(&self, report: &UsageReport) -> Result<(), Error> {
        let unknown = || Error::invalid(Self::UNKNOWN_SERVER, "server_id", "unknown node server");
        let server = self.0.get(&report.server_id).ok_or_else(unknown)?;
        if was_archived(server.archived_at, report) {
            return Err(Error::invalid(
                Self::ARCHIVED_SERVER,
                "server_id",
                "the node server was archived before the period of the report",
            ));
        }
        Ok(())
    }

    /// The node client by which a line of a report is billed: the one that the line names, else the
    /// server's client with the lowest id. A server without clients bills at factor 1. Clients that
    /// were archived before the period do not count. `None` if the line names a client that the
    /// server does not have. It may have been deleted, archived or moved to another server, and its
    /// factor there is not the one of this line.
    pub fn factor(&self, report: &UsageReport, line: &UsageLine) -> Option<ClientFactor> {
        let clients = self
            .0
            .get(&report.server_id)
            .map(|server| server.clients.as_slice())
            .unwrap_or_default();
        let wanted = |client: &&ClientFactor| {
            !was_archived(client.archived_at, report)
                && (line.node_client_id.is_none() || client.node_client_id == line.node_client_id)
        };
        let without_client = ClientFactor {
            node_client_id: None,
            traffic_factor: Factor::ONE,
            archived_at: None,
        };
        let found = clients.iter().find(wanted).copied();
        found.or(line.node_client_id.is_none().then_some(without_client))
    }
}

/// Whether something was archived before the period of a report began. A report of an earlier
/// period is billed, even if it arrives later.
fn was_archived(archived_at: Option<DateTime<Utc>>, report: &UsageReport) -> bool {
    archived_at.is_some_and(|archived_at| report.period_start >= archived_at)
}
