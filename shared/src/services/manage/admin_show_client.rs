//! `AdminShowClient`: all there is about a node client, and about the server behind it.

use async_trait::async_trait;
use uuid::Uuid;

use super::{ManageService, mask_unless};
use crate::auth::Access;
use crate::db::fleet::{self, Clients};
use crate::db::{self, Connection};
use crate::domain::node::NodeClientDetails;
use crate::domain::node_id;
use crate::domain::page::Page;
use crate::error::Error;
use crate::services::{Operation, Processor};

/// Asks for one node client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AdminShowClient {
    /// Its id.
    pub id: i32,
    /// Show keys and passwords of the configuration as they are.
    pub reveal_secrets: bool,
    /// Who asks: whoever sees secrets is named in the log.
    pub actor: Uuid,
}

impl Operation for AdminShowClient {
    const NAME: &'static str = "ShowNodeClient";
    const ACCESS: Access = Access::Admin;

    fn access(&self) -> Access {
        if self.reveal_secrets { Access::Secrets } else { Self::ACCESS }
    }
}

#[async_trait]
impl Processor<AdminShowClient> for ManageService {
    type Output = NodeClientDetails;

    #[tracing::instrument(name = "admin_show_client", skip_all, fields(id = input.id))]
    async fn process(&self, input: AdminShowClient) -> Result<NodeClientDetails, Error> {
        let id = node_id("id", input.id)?;
        let details = db::read_tx(&self.pool, async |tx| details(tx, id).await).await?;
        let mut details = details.ok_or_else(|| Error::not_found(&format!("node client {id}")))?;
        mask_unless::<AdminShowClient>(input.reveal_secrets, (id, input.actor), &mut details.client.client_config);
        Ok(details)
    }
}

async fn details(connection: &mut Connection, id: i32) -> Result<Option<NodeClientDetails>, Error> {
    let clients = fleet::list_clients(connection, Clients::One(id), Page { limit: 1, offset: 0 }).await?;
    let Some(client) = clients.into_iter().next() else { return Ok(None) };
    let server = fleet::show_server(connection, client.server_id).await?;
    Ok(server.map(|details| NodeClientDetails { client, server: details.server, metrics: details.metrics }))
}
