//! `CreateNodeClient`: adds a node client.

use async_trait::async_trait;
use serde::Serialize;

use super::admin_show_client::masked_details;
use super::node_settings::{archived, check_client, masked};
use crate::auth::Access;
use crate::config::DatabaseRole;
use crate::db::node_server::ServerOfClients;
use crate::db::{Connection, node_client, node_server};
use crate::domain::audit::Target;
use crate::domain::condition::Accepts;
use crate::domain::node::NodeClientDetails;
use crate::domain::node_settings::{NodeClientSettings, Settings as _};
use crate::error::Error;
use crate::services::Operation;
use crate::services::change::{Change, Work};

/// Adds a node client.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CreateNodeClient {
    /// Settings of the new client.
    pub settings: NodeClientSettings,
}

impl Operation for CreateNodeClient {
    const NAME: &'static str = "CreateNodeClient";
    const ACCESS: Access = Access::Admin;
    const DATABASE_ROLE: DatabaseRole = DatabaseRole::Api;
    const ACCEPTS: Accepts = Accepts::RequiredIdempotencyKey;
}

#[async_trait]
impl Change for CreateNodeClient {
    type Output = NodeClientDetails;

    fn checked(self) -> Result<Self, Error> {
        let settings = self.settings.checked()?;
        Ok(Self { settings })
    }

    async fn apply(
        &self,
        tx: &mut Connection,
        work: &mut Work<'_>,
    ) -> Result<NodeClientDetails, Error> {
        let server = lock_server(tx, self.settings.server_id).await?;
        check_client(&server, &self.settings.client_config)?;
        let id = node_client::insert(tx, &self.settings, work.now).await?;
        work.created(Target::NodeClient(id), &masked(&self.settings)?)?;
        masked_details(tx, id).await
    }
}

/// Returns the server of a client, and keeps it as it is until the transaction ends. Fails if the
/// server does not exist or is archived.
pub(super) async fn lock_server(tx: &mut Connection, id: i32) -> Result<ServerOfClients, Error> {
    match node_server::lock_for_clients(tx, id).await? {
        Some(server) if server.in_use => Ok(server),
        Some(_) => Err(archived(Target::NodeServer(id))),
        None => Err(Error::parameter(
            "server_id",
            "the id of an existing node server",
        )),
    }
}
