//! `ListUserNodeStatusHistory`: for each hour, how many of a user's nodes were online, offline and in maintenance.

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use uuid::Uuid;

use super::AnalysisService;
use crate::auth::Access;
use crate::db;
use crate::db::analysis::node_status_hours;
use crate::domain::node::NodeStatusHour;
use crate::error::Error;
use crate::services::{Operation, Processor};

/// The longest range.
pub const MAX_RANGE_DAYS: i64 = 92;
const DEFAULT_RANGE: TimeDelta = TimeDelta::hours(24);

/// Asks for the hours that begin in `[start, end)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListUserNodeStatusHistory {
    /// Whose nodes: those that the user may use now.
    pub user_id: Uuid,
    /// Default: 24 hours before the end.
    pub start: Option<DateTime<Utc>>,
    /// Default: now.
    pub end: Option<DateTime<Utc>>,
}

impl Operation for ListUserNodeStatusHistory {
    const NAME: &'static str = "ListNodeStatusHistory";
    const ACCESS: Access = Access::User;
}

/// Hours, oldest first. One of which no status was recorded is missing: nobody knows what it was like.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct UserNodeStatusHistory {
    /// The hours.
    pub hours: Vec<NodeStatusHour>,
}

#[async_trait]
impl Processor<ListUserNodeStatusHistory> for AnalysisService {
    type Output = UserNodeStatusHistory;

    #[tracing::instrument(name = "list_user_node_status_history", skip_all)]
    async fn process(&self, input: ListUserNodeStatusHistory) -> Result<UserNodeStatusHistory, Error> {
        let (start, end) = range(&input, self.context.now())?;
        let mut tx = db::read(&self.pool).await?;
        let hours = node_status_hours(&mut tx, input.user_id, start, end).await?;
        tx.commit().await?;
        Ok(UserNodeStatusHistory { hours })
    }
}

fn range(input: &ListUserNodeStatusHistory, now: DateTime<Utc>) -> Result<(DateTime<Utc>, DateTime<Utc>), Error> {
    let end = input.end.unwrap_or(now);
    let start = input.start.or_else(|| end.checked_sub_signed(DEFAULT_RANGE)).unwrap_or(end);
    if start >= end {
        return Err(Error::parameter("start", "times before `end`"));
    }
    if end - start > TimeDelta::days(MAX_RANGE_DAYS) {
        return Err(Error::parameter("start", &format!("times at most {MAX_RANGE_DAYS} days before `end`")));
    }
    Ok((start, end))
}
