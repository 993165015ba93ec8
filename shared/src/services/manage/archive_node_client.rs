//! `ArchiveNodeClient`: takes a node client out of use.

use async_trait::async_trait;
use serde::Serialize;

use super::admin_show_client::{masked_details, not_found};
use super::node_settings::record_archived;
use crate::auth::Access;
use crate::config::DatabaseRole;
use crate::db::{Connection, node_client};
use crate::domain::audit::Target;
use crate::domain::condition::Accepts;
use crate::domain::node::NodeClientDetails;
use crate::domain::{node_id, reason};
use crate::error::Error;
use crate::services::Operation;
use crate::services::change::{Change, Work};

/// Takes a node client out of use for good. Users no longer see it, and usage of later periods is
/// quarantined. Its history stays. Does nothing if the client is archived.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ArchiveNodeClient {
    /// Id of the node client.
    pub id: i32,
    /// Reason in the administrator's words, for the audit log.
    pub reason: String,
}

impl Operation for ArchiveNodeClient {
    const NAME: &'static str = "ArchiveNodeClient";
    const ACCESS: Access = Access::Admin;
    const DATABASE_ROLE: DatabaseRole = DatabaseRole::Api;
    const ACCEPTS: Accepts = Accepts::IdempotencyKey;
}

#[async_trait]
impl Change for ArchiveNodeClient {
    type Output = NodeClientDetails;

    fn checked(self) -> Result<Self, Error> {
        node_id("id", self.id)?;
        let reason = reason(&self.reason)?;
        Ok(Self { reason, ..self })
    }

    async fn apply(
        &self,
        tx: &mut Connection,
        work: &mut Work<'_>,
    ) -> Result<NodeClientDetails, Error> {
        let stored = node_client::lock(tx, self.id).await?;
        if stored
            .ok_or_else(|| not_found(self.id))?
            .archived_at
            .is_none()
        {
            node_client::archive(tx, self.id, work.now).await?;
            record_archived(work, Target::NodeClient(self.id), &self.reason)?;
        }
        masked_details(tx, self.id).await
    }
}
