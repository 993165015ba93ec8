//! `CreateNodeServer`: adds a node server.

use async_trait::async_trait;
use serde::Serialize;

use super::admin_show_server::masked_details;
use super::node_settings::masked;
use crate::auth::Access;
use crate::config::DatabaseRole;
use crate::db::{Connection, node_server};
use crate::domain::audit::Target;
use crate::domain::condition::Accepts;
use crate::domain::node::NodeServerDetails;
use crate::domain::node_settings::{NodeServerSettings, Settings as _};
use crate::error::Error;
use crate::services::Operation;
use crate::services::change::{Change, Work};

/// Adds a node server. It is offline until it reports.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CreateNodeServer {
    /// Settings of the new server.
    pub settings: NodeServerSettings,
}

impl Operation for CreateNodeServer {
    const NAME: &'static str = "CreateNodeServer";
    const ACCESS: Access = Access::Admin;
    const DATABASE_ROLE: DatabaseRole = DatabaseRole::Api;
    const ACCEPTS: Accepts = Accepts::RequiredIdempotencyKey;
}

#[async_trait]
impl Change for CreateNodeServer {
    type Output = NodeServerDetails;

    fn checked(self) -> Result<Self, Error> {
        let settings = self.settings.checked()?;
        Ok(Self { settings })
    }

    async fn apply(
        &self,
        tx: &mut Connection,
        work: &mut Work<'_>,
    ) -> Result<NodeServerDetails, Error> {
        let id = node_server::insert(tx, &self.settings, work.now).await?;
        work.created(Target::NodeServer(id), &masked(&self.settings)?)?;
        masked_details(tx, id).await
    }
}
