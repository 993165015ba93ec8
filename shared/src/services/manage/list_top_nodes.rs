//! `ListTopNodes`: lists the node clients or node servers with the most traffic of all users or of
//! one, in the last day to the last year.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use uuid::Uuid;

use super::ManageService;
use crate::auth::Access;
use crate::db::{self, traffic_usage};
use crate::domain::page::PageBounds;
use crate::domain::recent_range::LongRange;
use crate::domain::top::{TopMeasure, TopNode, TopNodeKind};
use crate::error::Error;
use crate::services::{Operation, Processor};

/// Requests the nodes with the most traffic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListTopNodes {
    /// The range, which ends now.
    pub range: LongRange,
    /// The amount by which nodes are ordered.
    pub by: TopMeasure,
    /// Whether clients or servers are listed.
    pub kind: TopNodeKind,
    /// The user whose traffic counts. `None` for the traffic of all users.
    pub user: Option<Uuid>,
    /// Maximum number of nodes to return, within [`Self::BOUNDS`]. `None` for the default.
    pub limit: Option<i64>,
}

impl ListTopNodes {
    /// Limits of the list.
    pub const BOUNDS: PageBounds = PageBounds {
        default_limit: 20,
        max_limit: 1_000,
        max_offset: 0,
    };
}

impl Operation for ListTopNodes {
    const NAME: &'static str = "ListTopNodes";
    const ACCESS: Access = Access::AdminRead;
}

/// The nodes with the most traffic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct TopNodes {
    /// Range of the request.
    pub range: LongRange,
    /// The amount by which the nodes are ordered.
    pub by: TopMeasure,
    /// Whether clients or servers are listed.
    pub kind: TopNodeKind,
    /// Start of the range.
    pub start: DateTime<Utc>,
    /// The nodes, by descending amount. A node without traffic is not listed.
    pub nodes: Vec<TopNode>,
}

#[async_trait]
impl Processor<ListTopNodes> for ManageService {
    type Output = TopNodes;

    #[tracing::instrument(name = "list_top_nodes", skip_all, fields(range = ?input.range))]
    async fn process(&self, input: ListTopNodes) -> Result<TopNodes, Error> {
        let ListTopNodes {
            range,
            by,
            kind,
            user,
            limit,
        } = input;
        let limit = ListTopNodes::BOUNDS.page(limit, None)?.limit;
        let period = range.period(self.context.now());
        let nodes = db::on_connection(&self.pool, async |connection| {
            traffic_usage::top_nodes(connection, user, period, kind, by, limit).await
        })
        .await?;
        Ok(TopNodes {
            range,
            by,
            kind,
            start: period.0,
            nodes,
        })
    }
}
