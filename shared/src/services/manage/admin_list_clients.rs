//! `AdminListClients`: lists node clients in the order of their ids.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Serialize;

use super::ManageService;
use crate::auth::Access;
use crate::config::DatabaseRole;
use crate::db;
use crate::db::fleet::{self, Clients};
use crate::domain::node::NodeClient;
use crate::domain::node_id;
use crate::domain::page::FLEET_PAGES;
use crate::domain::secret;
use crate::error::Error;
use crate::services::{Operation, Processor};

/// Requests a page of node clients.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AdminListClients {
    /// Maximum number of items to return, within [`FLEET_PAGES`]. `None` for the default.
    pub limit: Option<i64>,
    /// Number of items to skip. `None` skips none.
    pub offset: Option<i64>,
    /// Returns only node clients of this server.
    pub server_id: Option<i32>,
    /// Returns archived node clients, too.
    pub include_archived: bool,
}

impl Operation for AdminListClients {
    const NAME: &'static str = "ListNodeClients";
    const ACCESS: Access = Access::AdminRead;
    const DATABASE_ROLE: DatabaseRole = DatabaseRole::SecretReader;
}

/// A page of node clients.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct AdminClients {
    /// Node clients of this page, in ascending order of id.
    pub clients: Vec<NodeClient>,
    /// Number of matching node clients on all pages.
    pub total: i64,
}

#[async_trait]
impl Processor<AdminListClients> for ManageService {
    type Output = AdminClients;

    #[tracing::instrument(name = "admin_list_clients", skip_all)]
    async fn process(&self, input: AdminListClients) -> Result<AdminClients, Error> {
        let page = FLEET_PAGES.page(input.limit, input.offset)?;
        let server_id = input
            .server_id
            .map(|id| node_id("server_id", id))
            .transpose()?;
        let which = server_id.map_or(Clients::All, Clients::OfServer);
        let (mut clients, total) = db::read_tx(&self.pool, async |tx| {
            let clients = fleet::list_clients(tx, which, input.include_archived, page).await?;
            Ok((
                clients,
                fleet::count_clients(tx, server_id, input.include_archived).await?,
            ))
        })
        .await?;
        for client in &mut clients {
            secret::mask(&mut client.client_config);
        }
        Ok(AdminClients { clients, total })
    }
}
