//! `ArchiveNodeServer`: takes a node server and its clients out of use.

use async_trait::async_trait;
use serde::Serialize;

use super::admin_show_server::{masked_details, not_found};
use super::node_settings::record_archived;
use super::set_node_server_maintenance::set_status;
use crate::auth::Access;
use crate::config::DatabaseRole;
use crate::db::{Connection, node_client, node_server};
use crate::domain::audit::Target;
use crate::domain::condition::Accepts;
use crate::domain::node::{NodeServerDetails, NodeServerStatus};
use crate::domain::{node_id, reason};
use crate::error::Error;
use crate::services::Operation;
use crate::services::change::{Change, Work};

/// Takes a node server and all its clients out of use for good. It counts as offline from now on
/// and is not watched, and reports of later periods are refused. Its history stays. Does nothing if
/// the server is archived.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ArchiveNodeServer {
    /// Id of the node server.
    pub id: i32,
    /// Reason in the administrator's words, for the audit log and the timeline.
    pub reason: String,
}

impl Operation for ArchiveNodeServer {
    const NAME: &'static str = "ArchiveNodeServer";
    const ACCESS: Access = Access::Admin;
    const DATABASE_ROLE: DatabaseRole = DatabaseRole::Api;
    const ACCEPTS: Accepts = Accepts::IdempotencyKey;
}

#[async_trait]
impl Change for ArchiveNodeServer {
    type Output = NodeServerDetails;

    fn checked(self) -> Result<Self, Error> {
        node_id("id", self.id)?;
        let reason = reason(&self.reason)?;
        Ok(Self { reason, ..self })
    }

    async fn apply(
        &self,
        tx: &mut Connection,
        work: &mut Work<'_>,
    ) -> Result<NodeServerDetails, Error> {
        let stored = node_server::lock(tx, self.id).await?;
        if stored
            .ok_or_else(|| not_found(self.id))?
            .archived_at
            .is_none()
        {
            set_status(
                tx,
                work,
                self.id,
                |_, _| NodeServerStatus::Offline,
                &self.reason,
            )
            .await?;
            node_server::archive(tx, self.id, work.now).await?;
            record_archived(work, Target::NodeServer(self.id), &self.reason)?;
            for client in node_client::archive_of_server(tx, self.id, work.now).await? {
                record_archived(work, Target::NodeClient(client), &self.reason)?;
            }
        }
        masked_details(tx, self.id).await
    }
}
