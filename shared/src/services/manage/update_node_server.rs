//! `UpdateNodeServer`: changes settings of a node server.

use async_trait::async_trait;
use serde::Serialize;

use super::admin_show_server::{masked_details, not_found};
use super::node_settings::{Patch, check_clients};
use crate::auth::Access;
use crate::config::DatabaseRole;
use crate::db::{Connection, node_client, node_server};
use crate::domain::audit::Target;
use crate::domain::condition::Accepts;
use crate::domain::node::NodeServerDetails;
use crate::domain::node_id;
use crate::domain::node_settings::NodeServerSettings;
use crate::error::Error;
use crate::services::Operation;
use crate::services::change::{Change, Work};

/// Changes settings of a node server that is not archived.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct UpdateNodeServer {
    /// Id of the node server.
    pub id: i32,
    /// The change of its settings.
    pub patch: Patch,
}

impl Operation for UpdateNodeServer {
    const NAME: &'static str = "UpdateNodeServer";
    const ACCESS: Access = Access::Admin;
    const DATABASE_ROLE: DatabaseRole = DatabaseRole::Api;
    const ACCEPTS: Accepts = Accepts::RequiredRevision;
}

#[async_trait]
impl Change for UpdateNodeServer {
    type Output = NodeServerDetails;

    fn checked(self) -> Result<Self, Error> {
        node_id("id", self.id)?;
        Ok(self)
    }

    async fn apply(
        &self,
        tx: &mut Connection,
        work: &mut Work<'_>,
    ) -> Result<NodeServerDetails, Error> {
        let target = Target::NodeServer(self.id);
        let stored = node_server::lock(tx, self.id).await?;
        let stored = stored.ok_or_else(|| not_found(self.id))?;
        if let Some(settings) = stored.patched(&self.patch, work, target)? {
            if is_configured_otherwise(&stored.settings, &settings) {
                let clients = node_client::configs_of_server(tx, self.id).await?;
                check_clients(&settings, clients)?;
            }
            node_server::update(tx, self.id, &settings).await?;
        }
        masked_details(tx, self.id).await
    }
}

/// Whether a change concerns what the nodes of a server receive.
fn is_configured_otherwise(before: &NodeServerSettings, after: &NodeServerSettings) -> bool {
    (before.compatibility, &before.server_config) != (after.compatibility, &after.server_config)
}
