//! `SetNodeServerMaintenance`: takes a server out of service or puts it back into service.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use super::ManageService;
use crate::auth::Access;
use crate::config::DatabaseRole;
use crate::db::node_status_transition::{self, TimelineStart};
use crate::db::{self, Connection, audit, node_status_watch};
use crate::domain::audit::{Actor, AuditEntry, Target};
use crate::domain::node::NodeServerStatus;
use crate::domain::node_id;
use crate::domain::server_status::{Evaluation, ManualChange, ServerState, StatusChange, evaluate};
use crate::error::Error;
use crate::events::facts::Fact;
use crate::services::outbox::Outbox;
use crate::services::{Operation, Processor};

/// Maximum length of a reason, in characters.
pub const MAX_REASON: usize = 500;

/// Sets or ends the maintenance of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetNodeServerMaintenance {
    /// Id of the node server.
    pub id: i32,
    /// `true`: the status becomes `maintenance`, which neither heartbeats nor silence change.
    /// `false`: the status is evaluated by heartbeats again, at once.
    pub maintenance: bool,
    /// Reason in the administrator's words. It is stored in the timeline.
    pub reason: String,
    /// The administrator, whom the audit log and the timeline name.
    pub actor: Actor,
}

impl Operation for SetNodeServerMaintenance {
    const NAME: &'static str = "SetNodeServerMaintenance";
    const ACCESS: Access = Access::Admin;
    const DATABASE_ROLE: DatabaseRole = DatabaseRole::Writer;
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

/// Status of a server after the call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct NodeServerMaintenance {
    /// Id of the node server.
    pub id: i32,
    /// `maintenance`, or `online` or `offline` by the server's heartbeats.
    pub status: NodeServerStatus,
    /// `false` if the server already had the requested state, and nothing was written.
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
        // The messages are left to the sweep, so that this operation needs no access to a queue.
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
        node_status_watch::lock_servers(tx, &[input.id]).await?;
        let server = node_status_watch::servers(tx, Some(&[input.id]))
            .await?
            .pop();
        let server =
            server.ok_or_else(|| Error::not_found(&format!("Node server {}", input.id)))?;
        if (server.status == NodeServerStatus::Maintenance) == input.maintenance {
            return Ok(NodeServerMaintenance {
                id: input.id,
                status: server.status,
                changed: false,
            });
        }
        let (fleet, state) = node_status_watch::load(tx).await?;
        let policy = self.config.node_health_check;
        let by = Evaluation {
            cutoffs: evaluate(&fleet, &state, &policy, now).cutoffs(),
            offline_timeout: policy.offline_timeout,
            now,
        };
        let status = if input.maintenance {
            NodeServerStatus::Maintenance
        } else {
            server.status_after_maintenance(by.cutoffs.as_ref())
        };
        let author = ManualChange {
            actor: input.actor.user_id,
            reason: input.reason.clone(),
        };
        let changes = change(tx, &server, status, &by, author).await?;
        let last = changes.last().map_or(&[][..], std::slice::from_ref);
        node_status_watch::set_statuses(tx, last).await?;
        audit::write(tx, input.audit(now, server.status, status)).await?;
        self.announce(tx, &changes, now).await?;
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
        changes: &[StatusChange],
        now: DateTime<Utc>,
    ) -> Result<(), Error> {
        let mut outbox = Outbox::for_the_sweep(&self.context, now);
        for fact in changes.iter().filter_map(Fact::of_status_change) {
            outbox.fact(&fact)?;
        }
        outbox.write(tx).await?;
        Ok(())
    }
}

/// Changes the timeline. Returns the changes of status. The last one is the administrator's.
async fn change(
    tx: &mut Connection,
    server: &ServerState,
    to: NodeServerStatus,
    by: &Evaluation,
    author: ManualChange,
) -> Result<Vec<StatusChange>, Error> {
    let start = TimelineStart {
        node_server_id: server.node_server_id,
        since: server.open_interval.map_or(by.now, |open| open.since),
    };
    let before = node_status_transition::timelines(tx, &[start]).await?;
    let mut after = before.clone();
    let timeline = after
        .get_mut(&server.node_server_id)
        .ok_or_else(|| Error::internal("a server without a timeline"))?;
    let changes = server.set_by_hand(timeline, to, by, author);
    node_status_transition::write(tx, &before, &after).await?;
    Ok(changes)
}
