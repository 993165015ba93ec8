//! `ListUserNodeStatusHistory`: returns how many of a user's nodes were online, offline and in
//! maintenance in each hour.

use std::collections::HashMap;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use uuid::Uuid;

use super::AnalysisService;
use crate::auth::Access;
use crate::db;
use crate::db::analysis::node_status_hours;
use crate::db::node_status_history::{Servers, status_times, user_clients};
use crate::domain::node::NodeStatusHour;
use crate::domain::server_status::StatusTimes;
use crate::domain::time_range::TimeRange;
use crate::error::Error;
use crate::services::{Operation, Processor};

/// Maximum number of node clients whose availability is returned.
const MAX_CLIENTS: i64 = 1_000;

/// Requests the hours that begin in `[start, end)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListUserNodeStatusHistory {
    /// Id of the user. Only nodes that the user may use now are included.
    pub user_id: Uuid,
    /// Start of the range. `None` for 24 hours before the end.
    pub start: Option<DateTime<Utc>>,
    /// End of the range. `None` for now.
    pub end: Option<DateTime<Utc>>,
}

impl Operation for ListUserNodeStatusHistory {
    const NAME: &'static str = "ListNodeStatusHistory";
    const ACCESS: Access = Access::User;
}

/// Status of the user's nodes by hour, oldest first. An hour without a recorded status is omitted.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct UserNodeStatusHistory {
    /// Recorded hours of the range.
    pub hours: Vec<NodeStatusHour>,
    /// Seconds that each node spent in each status, in the part of the range that is in the past.
    /// Sorted by display order, then by id.
    pub availability: Vec<NodeAvailability>,
    /// Number of nodes. `availability` contains the first 1,000 of them.
    pub node_count: i64,
}

/// How long a node was in each status.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, JsonSchema)]
pub struct NodeAvailability {
    /// Id of the node client.
    pub node_client_id: i32,
    /// Seconds in each status.
    #[serde(flatten)]
    pub times: StatusTimes,
    /// Online / (online + offline), from 0 to 1. `null` if both are 0.
    pub availability: Option<f64>,
}

#[async_trait]
impl Processor<ListUserNodeStatusHistory> for AnalysisService {
    type Output = UserNodeStatusHistory;

    #[tracing::instrument(name = "list_user_node_status_history", skip_all)]
    async fn process(
        &self,
        input: ListUserNodeStatusHistory,
    ) -> Result<UserNodeStatusHistory, Error> {
        let now = self.context.now();
        let range = TimeRange::requested(input.start, input.end, now)?;
        let past = range.before(now);
        db::read_tx(&self.pool, async |tx| {
            let hours = node_status_hours(tx, input.user_id, range.start, range.end).await?;
            let (clients, node_count) = user_clients(tx, input.user_id, MAX_CLIENTS).await?;
            let times =
                status_times(tx, Servers::OfUser(input.user_id), past.start, past.end).await?;
            Ok(UserNodeStatusHistory {
                hours,
                availability: by_client(&clients, &times),
                node_count,
            })
        })
        .await
    }
}

/// The availability of a node client is that of its server.
fn by_client(clients: &[(i32, i32)], times: &[(i32, StatusTimes)]) -> Vec<NodeAvailability> {
    let of_server: HashMap<i32, StatusTimes> = times.iter().copied().collect();
    let of_client = |&(node_client_id, server): &(i32, i32)| {
        let times = *of_server.get(&server)?;
        Some(NodeAvailability {
            node_client_id,
            times,
            availability: times.availability(),
        })
    };
    clients.iter().filter_map(of_client).collect()
}
