//! `AdminShowServer`: returns all details of a node server.

use async_trait::async_trait;

use super::{ManageService, record_reveal};
use crate::auth::Access;
use crate::config::DatabaseRole;
use crate::db::{self, Connection, fleet};
use crate::domain::audit::{Actor, Target};
use crate::domain::node::NodeServerDetails;
use crate::domain::node_id;
use crate::domain::secret;
use crate::error::Error;
use crate::services::{Operation, Processor};

/// Requests the details of one node server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdminShowServer {
    /// Id of the node server.
    pub id: i32,
    /// Returns keys and passwords of the configuration unmasked.
    pub reveal_secrets: bool,
    /// The caller. The audit log records the caller if secrets are revealed.
    pub actor: Actor,
}

impl Operation for AdminShowServer {
    const NAME: &'static str = "ShowNodeServer";
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
impl Processor<AdminShowServer> for ManageService {
    type Output = NodeServerDetails;

    #[tracing::instrument(name = "admin_show_server", skip_all, fields(id = input.id))]
    async fn process(&self, input: AdminShowServer) -> Result<NodeServerDetails, Error> {
        let id = node_id("id", input.id)?;
        if input.reveal_secrets {
            return db::write_tx(&self.pool, "reveal_secrets", async |tx| {
                record_reveal(tx, &input.actor, Target::NodeServer(id), self.context.now()).await?;
                details(tx, id).await
            })
            .await;
        }
        db::on_connection(&self.pool, async |connection| {
            masked_details(connection, id).await
        })
        .await
    }
}

/// The details of a server without its secrets.
pub(super) async fn masked_details(
    connection: &mut Connection,
    id: i32,
) -> Result<NodeServerDetails, Error> {
    let mut details = details(connection, id).await?;
    secret::mask(&mut details.server_config);
    Ok(details)
}

/// The error for a server that does not exist.
pub(super) fn not_found(id: i32) -> Error {
    Error::not_found(&format!("Node server {id}"))
}

async fn details(connection: &mut Connection, id: i32) -> Result<NodeServerDetails, Error> {
    fleet::show_server(connection, id)
        .await?
        .ok_or_else(|| not_found(id))
}
