//! `SetNodeServerMaintenance`: takes a server out of service, or back.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use super::ManageService;
use crate::auth::Access;
use crate::db::{self, Connection, audit, node_log, node_status};
use crate::domain::audit::{Actor, AuditEntry, Target};
use crate::domain::node::NodeServerStatus;
use crate::domain::node_id;
use crate::domain::node_log::ByHand;
use crate::domain::node_status::{Judgement, Patience, judge};
use crate::domain::node_watch::{self, Edge, Watched};
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
    /// In maintenance: neither heartbeats nor silence change that. Otherwise it is judged by its
    /// heartbeats again, at once.
    pub maintenance: bool,
    /// Why, in the administrator's words; kept in the log.
    pub reason: String,
    /// The administrator.
    pub actor: Actor,
}

impl Operation for SetNodeServerMaintenance {
    const NAME: &'static str = "SetNodeServerMaintenance";
    const ACCESS: Access = Access::Admin;
}

impl SetNodeServerMaintenance {
    fn audit(
        &self,
        at: DateTime<Utc>,
        before: NodeServerStatus,
        after: NodeServerStatus,
    ) -> AuditEntry<'_> {
        AuditEntry {
            at,
            actor: &self.actor,
            action: Self::NAME,
            target: Target::NodeServer(self.id),
            before: Some(json!({ "status": before })),
            after: Some(json!({ "status": after })),
            reason: Some(&self.reason),
        }
    }
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

    #[tracing::instrument(name = "set_node_server_maintenance", skip_all, fields(id = input.id,
        maintenance = input.maintenance))]
    async fn process(
        &self,
        input: SetNodeServerMaintenance,
    ) -> Result<NodeServerMaintenance, Error> {
        node_id("id", input.id)?;
        let reason = input.reason.trim();
        let length = reason.chars().count();
        if length == 0 || length > MAX_REASON || reason.chars().any(char::is_control) {
            let accepted = format!(
                "1 to {MAX_REASON} characters, not blanks alone, without line ends and other \
                 controls"
            );
            return Err(Error::parameter("reason", &accepted));
        }
        let input = SetNodeServerMaintenance {
            reason: reason.to_owned(),
            ..input
        };
        // What it publishes is left to the sweep: an administrator's call needs no queue.
        db::write_tx(&self.pool, "set_node_server_maintenance", async |tx| {
            self.set_maintenance(tx, &input).await
        })
        .await
    }
}

impl ManageService {
    async fn set_maintenance(
        &self,
        tx: &mut Connection,
        input: &SetNodeServerMaintenance,
    ) -> Result<NodeServerMaintenance, Error> {
        let now = self.context.now();
        node_status::lock(tx, &[input.id]).await?;
        let server = node_status::watched(tx, Some(&[input.id])).await?.pop();
        let server =
            server.ok_or_else(|| Error::not_found(&format!("node server {}", input.id)))?;
        if (server.status == NodeServerStatus::Maintenance) == input.maintenance {
            return Ok(NodeServerMaintenance {
                id: input.id,
                status: server.status,
                changed: false,
            });
        }
        let patience = Patience::from(self.config.node_health_check);
        let judgement = judge(&node_status::heard(tx).await?, &patience, now).judgement();
        let status = if input.maintenance {
            NodeServerStatus::Maintenance
        } else {
            server.after_maintenance(judgement.as_ref())
        };
        let by = ByHand {
            actor: input.actor.user_id,
            reason: input.reason.clone(),
        };
        let edges = change(tx, &server, judgement.as_ref(), (status, now), by).await?;
        node_status::set_statuses(tx, edges.last().map_or(&[], std::slice::from_ref)).await?;
        audit::write(tx, input.audit(now, server.status, status)).await?;
        self.announce(tx, &edges, now).await?;
        tracing::info!(id = input.id, actor = %input.actor.user_id, ?status, "maintenance changed");
        Ok(NodeServerMaintenance {
            id: input.id,
            status,
            changed: true,
        })
    }

    async fn announce(
        &self,
        tx: &mut Connection,
        edges: &[Edge],
        now: DateTime<Utc>,
    ) -> Result<(), Error> {
        let mut outbox = Outbox::for_the_sweep(&self.context, now);
        for fact in edges.iter().filter_map(Fact::of_edge) {
            outbox.fact(&fact)?;
        }
        outbox.write(tx).await?;
        Ok(())
    }
}

/// Changes the log; answers what changed, the last of it by the administrator.
async fn change(
    tx: &mut Connection,
    server: &Watched,
    judgement: Option<&Judgement>,
    to: (NodeServerStatus, DateTime<Utc>),
    by: ByHand,
) -> Result<Vec<Edge>, Error> {
    let (_, now) = to;
    let open_since = server.logged.map_or(now, |logged| logged.since);
    let before = node_log::logs(tx, &[(server.node_server_id, open_since)]).await?;
    let mut after = before.clone();
    let log = after
        .get_mut(&server.node_server_id)
        .ok_or_else(|| Error::internal("a server without a log"))?;
    let edges = node_watch::set_by_hand(server, log, judgement, to, by);
    node_log::write(tx, &before, &after).await?;
    Ok(edges)
}
