//! `SetNodeServerMaintenance`: takes a server out of service, or back.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use uuid::Uuid;

use super::ManageService;
use crate::auth::Access;
use crate::db::node_status::{self, ByHand, LockedServer};
use crate::db::{self, Transaction};
use crate::domain::node::NodeServerStatus;
use crate::domain::node_id;
use crate::domain::node_status::{Edge, Patience};
use crate::error::Error;
use crate::events::facts::Fact;
use crate::services::outbox::Outbox;
use crate::services::{Operation, Processor};

/// The longest reason, characters.
pub const MAX_REASON: usize = 500;

/// Asks for a server to be in maintenance or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetNodeServerMaintenance {
    /// Which.
    pub id: i32,
    /// In maintenance: neither heartbeats nor silence change that. Otherwise it is judged by its heartbeats again, at
    /// once.
    pub maintenance: bool,
    /// Why, in the administrator's words; kept in the log.
    pub reason: String,
    /// The administrator.
    pub actor: Uuid,
}

impl Operation for SetNodeServerMaintenance {
    const NAME: &'static str = "SetNodeServerMaintenance";
    const ACCESS: Access = Access::Admin;
}

/// What the server is now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct NodeServerMaintenance {
    /// The server.
    pub id: i32,
    /// Its status.
    pub status: NodeServerStatus,
    /// False: it was as asked for already, and nothing was logged.
    pub changed: bool,
}

#[async_trait]
impl Processor<SetNodeServerMaintenance> for ManageService {
    type Output = NodeServerMaintenance;

    #[tracing::instrument(name = "set_node_server_maintenance", skip_all, fields(id = input.id, maintenance = input.maintenance))]
    async fn process(&self, input: SetNodeServerMaintenance) -> Result<NodeServerMaintenance, Error> {
        node_id("id", input.id)?;
        let length = input.reason.chars().count();
        if length == 0 || length > MAX_REASON || input.reason.chars().any(char::is_control) {
            let accepted = format!("1 to {MAX_REASON} characters without line ends and other controls");
            return Err(Error::parameter("reason", &accepted));
        }
        // What it publishes is left to the sweep: an administrator's call needs no queue.
        db::retry_conflicts("set_node_server_maintenance", || self.set_maintenance(&input)).await
    }
}

impl ManageService {
    async fn set_maintenance(&self, input: &SetNodeServerMaintenance) -> Result<NodeServerMaintenance, Error> {
        let now = self.context.now();
        let mut tx = db::write(&self.pool).await?;
        let server = node_status::lock_server(&mut tx, input.id).await?;
        let server = server.ok_or_else(|| Error::not_found(&format!("node server {}", input.id)))?;
        if (server.status == NodeServerStatus::Maintenance) == input.maintenance {
            return Ok(NodeServerMaintenance { id: input.id, status: server.status, changed: false });
        }
        let status = if input.maintenance { NodeServerStatus::Maintenance } else { self.judged(&server, now) };
        node_status::begin_log(&mut tx, now).await?;
        node_status::set_status(&mut tx, input.id, status).await?;
        let edge = Edge { node_server_id: input.id, name: server.name, from: server.status, to: status, since: now };
        let by = ByHand { actor: input.actor, reason: &input.reason };
        node_status::log_edges(&mut tx, std::slice::from_ref(&edge), now, Some(by)).await?;
        self.announce(&mut tx, &edge, now).await?;
        tx.commit().await?;
        tracing::info!(id = input.id, actor = %input.actor, ?status, "maintenance changed");
        Ok(NodeServerMaintenance { id: input.id, status, changed: true })
    }

    /// What its heartbeats say of a server.
    fn judged(&self, server: &LockedServer, now: DateTime<Utc>) -> NodeServerStatus {
        let online_from = now - Patience::from(self.config.node_health_check).recovery_window;
        match server.last_online_at {
            Some(at) if at >= online_from => NodeServerStatus::Online,
            _ => NodeServerStatus::Offline,
        }
    }

    async fn announce(&self, tx: &mut Transaction, edge: &Edge, now: DateTime<Utc>) -> Result<(), Error> {
        let mut outbox = Outbox::for_the_sweep(&self.context, now);
        if let Some(fact) = Fact::of_edge(edge) {
            outbox.fact(&fact)?;
        }
        outbox.write(tx).await?;
        Ok(())
    }
}
