//! `ManageService`: operations of administrators on the fleet and on users' packages.

mod admin_list_clients;
mod admin_list_packages;
mod admin_list_servers;
mod admin_show_client;
mod admin_show_server;
mod count_queued_packages;
mod get_node_server_availability;
mod set_node_server_maintenance;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use sqlx::PgPool;

pub use admin_list_clients::{AdminClients, AdminListClients};
pub use admin_list_packages::{AdminListPackages, AdminPackages};
pub use admin_list_servers::{AdminListServers, AdminServers};
pub use admin_show_client::AdminShowClient;
pub use admin_show_server::AdminShowServer;
pub use count_queued_packages::{CountQueuedPackages, QueuedPackageCounts};
pub use get_node_server_availability::{GetNodeServerAvailability, NodeServerAvailability};
pub use set_node_server_maintenance::{NodeServerMaintenance, SetNodeServerMaintenance};

use crate::app::{App, FromApp, StartError};
use crate::clock::Context;
use crate::config::TelecomConfig;
use crate::db::{Connection, audit};
use crate::domain::audit::{Actor, AuditEntry, Target};
use crate::error::Error;

/// Processes the operations that require the administrator's scope.
#[derive(Debug, Clone)]
pub struct ManageService {
    pool: PgPool,
    context: Context,
    config: TelecomConfig,
}

impl ManageService {
    /// Creates a service that uses the database of `pool`.
    #[must_use]
    pub fn new(pool: PgPool, context: Context, config: TelecomConfig) -> Self {
        Self {
            pool,
            context,
            config,
        }
    }
}

#[async_trait]
impl FromApp for ManageService {
    async fn from_app(app: &App) -> Result<Self, StartError> {
        Ok(Self::new(app.database()?, app.context(), app.config()?))
    }
}

/// Records that the secrets of `target` are revealed to the `actor`. An error must fail the call,
/// so that no secret is revealed without a record.
async fn record_reveal(
    tx: &mut Connection,
    actor: &Actor,
    target: Target,
    at: DateTime<Utc>,
) -> Result<(), Error> {
    let entry = AuditEntry {
        at,
        actor,
        action: "RevealSecrets",
        target,
        before: None,
        after: None,
        reason: None,
    };
    audit::write(tx, entry).await
}
