//! `AdminShowClient`: returns all details of a node client and of its server.

use async_trait::async_trait;

use super::{ManageService, record_reveal};
use crate::auth::Access;
use crate::config::DatabaseRole;
use crate::db::fleet::{self, Clients};
use crate::db::{self, Connection};
use crate::domain::audit::{Actor, Target};
use crate::domain::node::NodeClientDetails;
use crate::domain::node_id;
use crate::domain::page::Page;
use crate::domain::secret;
use crate::error::Error;
use crate::services::{Operation, Processor};

/// Requests the details of one node client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdminShowClient {
    /// Id of the node client.
    pub id: i32,
    /// Returns keys and passwords of the configuration unmasked.
    pub reveal_secrets: bool,
    /// The caller. The audit log records the caller if secrets are revealed.
    pub actor: Actor,
}

impl Operation for AdminShowClient {
    const NAME: &'static str = "ShowNodeClient";
    const ACCESS: Access = Access::AdminRead;
    const DATABASE_ROLE: DatabaseRole = DatabaseRole::SecretReader;

    fn access(&self) -> Access {
        if self.reveal_secrets {
            Access::Secrets
        } else {
            Self::ACCESS
        }
    }
}

#[async_trait]
impl Processor<AdminShowClient> for ManageService {
    type Output = NodeClientDetails;

    #[tracing::instrument(name = "admin_show_client", skip_all, fields(id = input.id))]
    async fn process(&self, input: AdminShowClient) -> Result<NodeClientDetails, Error> {
        let id = node_id("id", input.id)?;
        if input.reveal_secrets {
            return db::write_tx(&self.pool, "reveal_secrets", async |tx| {
                record_reveal(tx, &input.actor, Target::NodeClient(id), self.context.now()).await?;
                details(tx, id).await
            })
            .await;
        }
        db::read_tx(&self.pool, async |tx| masked_details(tx, id).await).await
    }
}

/// The details of a client without its secrets.
pub(super) async fn masked_details(
    connection: &mut Connection,
    id: i32,
) -> Result<NodeClientDetails, Error> {
    let mut details = details(connection, id).await?;
    secret::mask(&mut details.client.client_config);
    Ok(details)
}

/// The error for a client that does not exist.
pub(super) fn not_found(id: i32) -> Error {
    Error::not_found(&format!("Node client {id}"))
}

async fn details(connection: &mut Connection, id: i32) -> Result<NodeClientDetails, Error> {
    let clients = fleet::list_clients(
        connection,
        Clients::One(id),
        true,
        Page {
            limit: 1,
            offset: 0,
        },
    )
    .await?;
    let client = clients.into_iter().next().ok_or_else(|| not_found(id))?;
    let server = fleet::show_server(connection, client.server_id)
        .await?
        .ok_or_else(|| not_found(id))?;
    Ok(NodeClientDetails {
        client,
        server: server.server,
        metrics: server.metrics,
    })
}
