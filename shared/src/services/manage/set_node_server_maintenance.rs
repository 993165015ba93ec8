//! `SetNodeServerMaintenance`: takes a server out of service or puts it back into service.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::admin_show_server::not_found;
use super::node_settings::archived;
use crate::auth::Access;
use crate::config::DatabaseRole;
use crate::db::node_status_transition::{self, TimelineStart};
use crate::db::{Connection, node_server, node_status_watch};
use crate::domain::audit::Target;
use crate::domain::condition::Accepts;
use crate::domain::node::NodeServerStatus;
use crate::domain::server_status::{Evaluation, ManualChange, ServerState, StatusChange, evaluate};
use crate::domain::{node_id, reason};
use crate::error::Error;
use crate::events::facts::Fact;
use crate::services::Operation;
use crate::services::change::{Change, Work};

/// Sets or ends the maintenance of a server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SetNodeServerMaintenance {
    /// Id of the node server.
    pub id: i32,
    /// `true`: the status becomes `maintenance`, which neither heartbeats nor silence change.
    /// `false`: the status is evaluated by heartbeats again, at once.
    pub maintenance: bool,
    /// Reason in the administrator's words. It is stored in the timeline.
    pub reason: String,
}

impl Operation for SetNodeServerMaintenance {
    const NAME: &'static str = "SetNodeServerMaintenance";
    const ACCESS: Access = Access::Admin;
    const DATABASE_ROLE: DatabaseRole = DatabaseRole::Api;
    const ACCEPTS: Accepts = Accepts::IdempotencyKey;
}

/// Status of a server after the call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NodeServerMaintenance {
    /// Id of the node server.
    pub id: i32,
    /// `maintenance`, or `online` or `offline` by the server's heartbeats.
    pub status: NodeServerStatus,
    /// `false` if the server already had the requested state, and nothing was written.
    pub changed: bool,
}

#[derive(Serialize)]
struct Audited {
    status: NodeServerStatus,
}

#[async_trait]
impl Change for SetNodeServerMaintenance {
    type Output = NodeServerMaintenance;

    fn checked(self) -> Result<Self, Error> {
        node_id("id", self.id)?;
        let reason = reason(&self.reason)?;
        Ok(Self { reason, ..self })
    }

    async fn apply(
        &self,
        tx: &mut Connection,
        work: &mut Work<'_>,
    ) -> Result<NodeServerMaintenance, Error> {
        let stored = node_server::lock(tx, self.id).await?;
        let stored = stored.ok_or_else(|| not_found(self.id))?;
        if stored.archived_at.is_some() {
            return Err(archived(Target::NodeServer(self.id)));
        }
        let is_requested = |status| (status == NodeServerStatus::Maintenance) == self.maintenance;
        let to = |server: &ServerState, by: &Evaluation| {
            if is_requested(server.status) {
                server.status
            } else if self.maintenance {
                NodeServerStatus::Maintenance
            } else {
                server.status_after_maintenance(by.cutoffs.as_ref())
            }
        };
        let (status, changed) = set_status(tx, work, self.id, to, &self.reason).await?;
        Ok(NodeServerMaintenance {
            id: self.id,
            status,
            changed,
        })
    }
}

/// Sets the status of a server that this transaction locked, to what `to` returns for it. Returns
/// the status after the call, and whether it changed.
pub(super) async fn set_status(
    tx: &mut Connection,
    work: &mut Work<'_>,
    id: i32,
    to: impl FnOnce(&ServerState, &Evaluation) -> NodeServerStatus + Send,
    reason: &str,
) -> Result<(NodeServerStatus, bool), Error> {
    let server = node_status_watch::servers(tx, Some(&[id])).await?.pop();
    let server = server.ok_or_else(|| not_found(id))?;
    let (fleet, state) = node_status_watch::load(tx).await?;
    let policy = work.config.node_health_check;
    let by = Evaluation {
        cutoffs: evaluate(&fleet, &state, &policy, work.now).cutoffs(),
        offline_timeout: policy.offline_timeout,
        now: work.now,
    };
    let status = to(&server, &by);
    if status == server.status {
        return Ok((status, false));
    }
    let author = ManualChange {
        actor: work.actor.user_id,
        reason: reason.to_owned(),
    };
    let changes = change(tx, &server, status, &by, author).await?;
    let last = changes.last().map_or(&[][..], std::slice::from_ref);
    node_status_watch::set_statuses(tx, last).await?;
    let before = Audited {
        status: server.status,
    };
    work.changed(
        Target::NodeServer(id),
        &before,
        &Audited { status },
        Some(reason),
    )?;
    for fact in changes.iter().filter_map(Fact::of_status_change) {
        work.outbox.fact(&fact)?;
    }
    Ok((status, true))
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
