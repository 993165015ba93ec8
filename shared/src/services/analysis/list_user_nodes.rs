//! `ListUserNodes`: lists the nodes that a user's active package grants access to.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Serialize;
use uuid::Uuid;

use super::AnalysisService;
use crate::auth::Access;
use crate::db;
use crate::db::analysis::user_nodes;
use crate::domain::node::Node;
use crate::domain::page::PageBounds;
use crate::error::Error;
use crate::services::{Operation, Processor};

/// Requests a page of a user's nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListUserNodes {
    /// Id of the user.
    pub user_id: Uuid,
    /// Maximum number of items to return, within [`Self::BOUNDS`]. `None` for the default.
    pub limit: Option<i64>,
    /// Number of items to skip. `None` skips none.
    pub offset: Option<i64>,
}

impl ListUserNodes {
    /// Limits of a page. Apps show all nodes, and hardly any fleet needs a second page.
    pub const BOUNDS: PageBounds = PageBounds {
        default_limit: 1_000,
        max_limit: 1_000,
        max_offset: 1_000_000,
    };
}

impl Operation for ListUserNodes {
    const NAME: &'static str = "ListNodes";
    const ACCESS: Access = Access::User;
}

/// Nodes sorted by display order, then by id. Empty if the user has no active package.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct UserNodes {
    /// Nodes of this page.
    pub nodes: Vec<Node>,
    /// Number of nodes on all pages.
    pub total: i64,
}

#[async_trait]
impl Processor<ListUserNodes> for AnalysisService {
    type Output = UserNodes;

    #[tracing::instrument(name = "list_user_nodes", skip_all)]
    async fn process(&self, input: ListUserNodes) -> Result<UserNodes, Error> {
        let page = ListUserNodes::BOUNDS.page(input.limit, input.offset)?;
        let (nodes, total) = db::read_tx(&self.pool, async |tx| {
            user_nodes(tx, input.user_id, page).await
        })
        .await?;
        Ok(UserNodes { nodes, total })
    }
}
