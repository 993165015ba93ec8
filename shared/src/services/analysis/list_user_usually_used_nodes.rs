//! `ListUserUsuallyUsedNodes`: lists the nodes that carried most of a user's traffic in the last 30
//! days.

use async_trait::async_trait;
use chrono::TimeDelta;
use schemars::JsonSchema;
use serde::Serialize;
use uuid::Uuid;

use super::AnalysisService;
use crate::auth::Access;
use crate::db;
use crate::db::analysis::usually_used_nodes;
use crate::domain::bucket::hour_of;
use crate::domain::node::UsuallyUsedNode;
use crate::domain::page::PageBounds;
use crate::error::Error;
use crate::services::{Operation, Processor};

const WINDOW: TimeDelta = TimeDelta::days(30);

/// Requests a user's most used nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListUserUsuallyUsedNodes {
    /// Id of the user.
    pub user_id: Uuid,
    /// Maximum number of items to return, within [`Self::BOUNDS`]. `None` for the default.
    pub limit: Option<i64>,
}

impl ListUserUsuallyUsedNodes {
    /// Limits of the list, which has a single page.
    pub const BOUNDS: PageBounds = PageBounds {
        default_limit: 20,
        max_limit: 100,
        max_offset: 0,
    };
}

impl Operation for ListUserUsuallyUsedNodes {
    const NAME: &'static str = "ListUsuallyUsedNodes";
    const ACCESS: Access = Access::User;
}

/// Nodes in descending order of billed traffic, then of carried traffic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct UserUsuallyUsedNodes {
    /// Nodes that carried traffic of the user, busiest first.
    pub nodes: Vec<UsuallyUsedNode>,
}

#[async_trait]
impl Processor<ListUserUsuallyUsedNodes> for AnalysisService {
    type Output = UserUsuallyUsedNodes;

    #[tracing::instrument(name = "list_user_usually_used_nodes", skip_all)]
    async fn process(
        &self,
        input: ListUserUsuallyUsedNodes,
    ) -> Result<UserUsuallyUsedNodes, Error> {
        let page = ListUserUsuallyUsedNodes::BOUNDS.page(input.limit, None)?;
        // Usage is stored per hour. The current hour and the hour of 30 days ago are included.
        let end = hour_of(self.context.now()) + TimeDelta::hours(1);
        let start = end - TimeDelta::hours(1) - WINDOW;
        let nodes = db::on_connection(&self.pool, async |connection| {
            usually_used_nodes(connection, input.user_id, start, end, page.limit).await
        })
        .await?;
        Ok(UserUsuallyUsedNodes { nodes })
    }
}
