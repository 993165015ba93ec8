//! `UpdateNodeClient`: changes settings of a node client.

use async_trait::async_trait;
use serde::Serialize;
use serde_json::Value;

use super::admin_show_client::{masked_details, not_found};
use super::create_node_client::lock_server;
use super::node_settings::{Patch, check_client};
use crate::auth::Access;
use crate::config::DatabaseRole;
use crate::db::node_server::ServerOfClients;
use crate::db::{Connection, node_client, node_server};
use crate::domain::audit::Target;
use crate::domain::condition::Accepts;
use crate::domain::node::NodeClientDetails;
use crate::domain::node_id;
use crate::error::Error;
use crate::services::Operation;
use crate::services::change::{Change, Work};

/// Changes settings of a node client that is not archived.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct UpdateNodeClient {
    /// Id of the node client.
    pub id: i32,
    /// The change of its settings.
    pub patch: Patch,
}

impl Operation for UpdateNodeClient {
    const NAME: &'static str = "UpdateNodeClient";
    const ACCESS: Access = Access::Admin;
    const DATABASE_ROLE: DatabaseRole = DatabaseRole::Api;
    const ACCEPTS: Accepts = Accepts::RequiredRevision;
}

#[async_trait]
impl Change for UpdateNodeClient {
    type Output = NodeClientDetails;

    fn checked(self) -> Result<Self, Error> {
        node_id("id", self.id)?;
        Ok(self)
    }

    async fn apply(
        &self,
        tx: &mut Connection,
        work: &mut Work<'_>,
    ) -> Result<NodeClientDetails, Error> {
        let target = Target::NodeClient(self.id);
        // The server is locked first, as by all changes that lock both.
        let server = self.lock_server(tx).await?;
        let stored = node_client::lock(tx, self.id).await?;
        let stored = stored.ok_or_else(|| not_found(self.id))?;
        if let Some(settings) = stored.patched(&self.patch, work, target)? {
            if let Some(server) = server {
                if server.id != settings.server_id {
                    // The client was moved before it was locked.
                    return Err(Error::conflict());
                }
                check_client(&server, &settings.client_config)?;
            }
            node_client::update(tx, self.id, &settings).await?;
        }
        masked_details(tx, self.id).await
    }
}

impl UpdateNodeClient {
    /// Locks the server that the client is to have, if the configuration of the node may change.
    async fn lock_server(&self, tx: &mut Connection) -> Result<Option<ServerOfClients>, Error> {
        let changes = &self.patch.0;
        if let Some(server) = changes.get("server_id").and_then(Value::as_i64) {
            let id = i32::try_from(server).unwrap_or_default();
            return lock_server(tx, id).await.map(Some);
        }
        if changes.contains_key("client_config") {
            return node_server::lock_of_client(tx, self.id).await;
        }
        Ok(None)
    }
}
