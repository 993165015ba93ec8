//! `GetNodeServerAvailability`: returns how long a server was in each status.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Serialize;

use super::ManageService;
use crate::auth::Access;
use crate::db;
use crate::db::node_status_history::times_between;
use crate::domain::bucket::{hour_of, hourly_between};
use crate::domain::node_id;
use crate::domain::server_status::{KnownTimes, StatusTimes, StatusTimesHour};
use crate::domain::time_range::TimeRange;
use crate::error::Error;
use crate::services::{Operation, Processor};

/// Requests the availability of a server in `[start, end)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GetNodeServerAvailability {
    /// Id of the node server.
    pub id: i32,
    /// Start of the range. `None` for 24 hours before the end.
    pub start: Option<DateTime<Utc>>,
    /// End of the range. `None` for now. Time in the future is left out.
    pub end: Option<DateTime<Utc>>,
}

impl Operation for GetNodeServerAvailability {
    const NAME: &'static str = "GetNodeServerAvailability";
    const ACCESS: Access = Access::AdminRead;
}

/// How long a node server was in each status.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct NodeServerAvailability {
    /// Id of the node server.
    pub id: i32,
    /// Start of the range, inclusive.
    pub start: DateTime<Utc>,
    /// End of the range, exclusive. Never later than now.
    pub end: DateTime<Utc>,
    /// Seconds in each status.
    #[serde(flatten)]
    pub times: StatusTimes,
    /// Online / (online + offline), from 0 to 1. `null` if both are 0.
    pub availability: Option<f64>,
    /// The hours that the range touches, in ascending order.
    pub hours: Vec<StatusTimesHour>,
}

#[async_trait]
impl Processor<GetNodeServerAvailability> for ManageService {
    type Output = NodeServerAvailability;

    #[tracing::instrument(name = "get_node_server_availability", skip_all, fields(id = input.id))]
    async fn process(
        &self,
        input: GetNodeServerAvailability,
    ) -> Result<NodeServerAvailability, Error> {
        let id = node_id("id", input.id)?;
        let range = TimeRange::requested(input.start, input.end, self.context.now())?
            .before(self.context.now());
        let edges = edges(range);
        // In a transaction, because that plans the statement once per connection. Planning it takes
        // longer than running it.
        let known = db::read_tx(&self.pool, async |tx| times_between(tx, id, &edges).await)
            .await?
            .ok_or_else(|| Error::not_found(&format!("Node server {id}")))?;
        let sum: KnownTimes = known.iter().copied().sum();
        let times = sum.within(range.end - range.start);
        Ok(NodeServerAvailability {
            id,
            start: range.start,
            end: range.end,
            times,
            availability: times.availability(),
            hours: hours(&edges, &known),
        })
    }
}

/// The start and the end of the range, and the hours that begin between them.
fn edges(range: TimeRange) -> Vec<DateTime<Utc>> {
    let inner = hourly_between(range.start, range.end)
        .into_iter()
        .filter(|&hour| range.start < hour && hour < range.end);
    let ends = [range.start, range.end];
    let [first, last] = ends.map(std::iter::once);
    first.chain(inner).chain(last).collect()
}

fn hours(edges: &[DateTime<Utc>], known: &[KnownTimes]) -> Vec<StatusTimesHour> {
    let buckets = edges.iter().zip(edges.iter().skip(1)).zip(known);
    let hour = |((&start, &end), known): ((&DateTime<Utc>, &DateTime<Utc>), &KnownTimes)| {
        let times = known.within(end - start);
        StatusTimesHour {
            hour: hour_of(start),
            times,
            availability: times.availability(),
        }
    };
    buckets
        .filter(|((start, end), _)| start < end)
        .map(hour)
        .collect()
}
