//! `AdminShowServer`: all there is about a node server.

use async_trait::async_trait;
use uuid::Uuid;

use super::{ManageService, mask_unless};
use crate::auth::Access;
use crate::db::{self, fleet};
use crate::domain::node::NodeServerDetails;
use crate::domain::node_id;
use crate::error::Error;
use crate::services::{Operation, Processor};

/// Asks for one node server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AdminShowServer {
    /// Its id.
    pub id: i32,
    /// Show keys and passwords of the configuration as they are.
    pub reveal_secrets: bool,
    /// Who asks: whoever sees secrets is named in the log.
    pub actor: Uuid,
}

impl Operation for AdminShowServer {
    const NAME: &'static str = "ShowNodeServer";
    const ACCESS: Access = Access::Admin;

    fn access(&self) -> Access {
        if self.reveal_secrets { Access::Secrets } else { Self::ACCESS }
    }
}

#[async_trait]
impl Processor<AdminShowServer> for ManageService {
    type Output = NodeServerDetails;

    #[tracing::instrument(name = "admin_show_server", skip_all, fields(id = input.id))]
    async fn process(&self, input: AdminShowServer) -> Result<NodeServerDetails, Error> {
        let id = node_id("id", input.id)?;
        let details =
            db::on_connection(&self.pool, async |connection| fleet::show_server(connection, id).await).await?;
        let mut details = details.ok_or_else(|| Error::not_found(&format!("node server {id}")))?;
        mask_unless::<AdminShowServer>(input.reveal_secrets, (id, input.actor), &mut details.server_config);
        Ok(details)
    }
}
