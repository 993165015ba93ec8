//! `GetNodeServerMetrics`: returns the metrics of a server per hour.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Serialize;

use super::ManageService;
use crate::auth::Access;
use crate::db::{self, node, node_metrics};
use crate::domain::node_id;
use crate::domain::node_metrics::NodeServerMetricsHour;
use crate::domain::time_range::TimeRange;
use crate::error::Error;
use crate::services::{Operation, Processor};

/// Requests the metrics of a server in the hours that begin in `[start, end)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GetNodeServerMetrics {
    /// Id of the node server.
    pub id: i32,
    /// Start of the range. `None` for 24 hours before the end.
    pub start: Option<DateTime<Utc>>,
    /// End of the range. `None` for now.
    pub end: Option<DateTime<Utc>>,
}

impl Operation for GetNodeServerMetrics {
    const NAME: &'static str = "GetNodeServerMetrics";
    const ACCESS: Access = Access::AdminRead;
}

/// The metrics of a node server per hour.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct NodeServerMetricsHistory {
    /// Id of the node server.
    pub id: i32,
    /// Start of the range, inclusive.
    pub start: DateTime<Utc>,
    /// End of the range, exclusive.
    pub end: DateTime<Utc>,
    /// The hours that begin in the range, in ascending order. Hours in which no report had metrics
    /// are absent, and so are hours that are more than 90 days old.
    pub hours: Vec<NodeServerMetricsHour>,
}

#[async_trait]
impl Processor<GetNodeServerMetrics> for ManageService {
    type Output = NodeServerMetricsHistory;

    #[tracing::instrument(name = "get_node_server_metrics", skip_all, fields(id = input.id))]
    async fn process(
        &self,
        input: GetNodeServerMetrics,
    ) -> Result<NodeServerMetricsHistory, Error> {
        let id = node_id("id", input.id)?;
        let TimeRange { start, end } =
            TimeRange::requested(input.start, input.end, self.context.now())?;
        let hours = db::read_tx(&self.pool, async |tx| {
            if node::existing(tx, &[id]).await?.is_empty() {
                return Err(Error::not_found(&format!("Node server {id}")));
            }
            node_metrics::hours(tx, id, start, end).await
        })
        .await?;
        Ok(NodeServerMetricsHistory {
            id,
            start,
            end,
            hours,
        })
    }
}
