//! `AdminListServers`: lists node servers in the order of their ids.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Serialize;

use super::ManageService;
use crate::auth::Access;
use crate::db::{self, fleet};
use crate::domain::node::{NodeServerStatus, NodeServerSummary};
use crate::domain::page::FLEET_PAGES;
use crate::error::Error;
use crate::services::{Operation, Processor};

/// Requests a page of node servers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AdminListServers {
    /// Maximum number of items to return, within [`FLEET_PAGES`]. `None` for the default.
    pub limit: Option<i64>,
    /// Number of items to skip. `None` skips none.
    pub offset: Option<i64>,
    /// Returns only node servers in this status.
    pub filter_status: Option<NodeServerStatus>,
    /// Returns archived node servers, too.
    pub include_archived: bool,
}

impl Operation for AdminListServers {
    const NAME: &'static str = "ListNodeServers";
    const ACCESS: Access = Access::AdminRead;
}

/// A page of node servers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct AdminServers {
    /// Node servers of this page, in ascending order of id.
    pub servers: Vec<NodeServerSummary>,
    /// Number of matching node servers on all pages.
    pub total: i64,
}

#[async_trait]
impl Processor<AdminListServers> for ManageService {
    type Output = AdminServers;

    #[tracing::instrument(name = "admin_list_servers", skip_all)]
    async fn process(&self, input: AdminListServers) -> Result<AdminServers, Error> {
        let page = FLEET_PAGES.page(input.limit, input.offset)?;
        let (servers, total) = db::read_tx(&self.pool, async |tx| {
            fleet::list_servers(tx, input.filter_status, input.include_archived, page).await
        })
        .await?;
        Ok(AdminServers { servers, total })
    }
}
