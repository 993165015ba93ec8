//! `ListNodeAccess`: lists the accesses of node software and of collectors.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Serialize;

use super::ManageService;
use crate::auth::Access;
use crate::db;
use crate::db::node_access::{self, Filter};
use crate::domain::node_access::{NodeAccess, PAGES};
use crate::domain::node_id;
use crate::error::Error;
use crate::services::{Operation, Processor};

/// Requests a page of accesses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ListNodeAccess {
    /// Maximum number of accesses to return, within [`PAGES`]. `None` for the default.
    pub limit: Option<i64>,
    /// Number of accesses to skip. `None` skips none.
    pub offset: Option<i64>,
    /// The accesses to return.
    pub filter: Filter,
}

impl Operation for ListNodeAccess {
    const NAME: &'static str = "ListNodeAccess";
    const ACCESS: Access = Access::AdminRead;
}

/// A page of accesses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct NodeAccessPage {
    /// Accesses of this page, newest first (in descending order of id).
    pub accesses: Vec<NodeAccess>,
    /// Number of matching accesses on all pages.
    pub total: i64,
}

#[async_trait]
impl Processor<ListNodeAccess> for ManageService {
    type Output = NodeAccessPage;

    #[tracing::instrument(name = "list_node_access", skip_all)]
    async fn process(&self, input: ListNodeAccess) -> Result<NodeAccessPage, Error> {
        let page = PAGES.page(input.limit, input.offset)?;
        if let Some(id) = input.filter.server_id {
            node_id("server_id", id)?;
        }
        let (accesses, total) = db::read_tx(&self.pool, async |tx| {
            node_access::list(tx, input.filter, page).await
        })
        .await?;
        Ok(NodeAccessPage { accesses, total })
    }
}
