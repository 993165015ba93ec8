//! `ListTopUsers`: lists the users with the most traffic of the last day, week or month.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Serialize;

use super::ManageService;
use crate::auth::Access;
use crate::db::{self, top_user};
use crate::domain::page::PageBounds;
use crate::domain::recent_range::RecentRange;
use crate::domain::top::{TopMeasure, TopUser};
use crate::error::Error;
use crate::services::{Operation, Processor};

/// Requests the users with the most traffic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListTopUsers {
    /// The range, which ends now.
    pub range: RecentRange,
    /// The amount by which users are ordered.
    pub by: TopMeasure,
    /// Maximum number of users to return, within [`Self::BOUNDS`]. `None` for the default.
    pub limit: Option<i64>,
}

impl ListTopUsers {
    /// Limits of the list.
    pub const BOUNDS: PageBounds = PageBounds {
        default_limit: 20,
        max_limit: top_user::PLACES,
        max_offset: 0,
    };
}

impl Operation for ListTopUsers {
    const NAME: &'static str = "ListTopUsers";
    const ACCESS: Access = Access::AdminRead;
}

/// The users with the most traffic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct TopUsers {
    /// Range of the request.
    pub range: RecentRange,
    /// The amount by which the users are ordered.
    pub by: TopMeasure,
    /// Start of the range. `null` until the users were found for the first time.
    pub start: Option<DateTime<Utc>>,
    /// When the users were found. They are found again every few minutes, because that reads the
    /// usage of all users. `null` until then.
    pub as_of: Option<DateTime<Utc>>,
    /// Number of users with any traffic in the range.
    pub total: i64,
    /// The first of them, by descending amount.
    pub users: Vec<TopUser>,
}

#[async_trait]
impl Processor<ListTopUsers> for ManageService {
    type Output = TopUsers;

    #[tracing::instrument(name = "list_top_users", skip_all, fields(range = ?input.range))]
    async fn process(&self, input: ListTopUsers) -> Result<TopUsers, Error> {
        let ListTopUsers { range, by, limit } = input;
        let limit = ListTopUsers::BOUNDS.page(limit, None)?.limit;
        let (refresh, users) = db::read_tx(&self.pool, async |tx| {
            let refresh = top_user::last_refresh(tx, range).await?;
            Ok((refresh, top_user::list(tx, range, by, limit).await?))
        })
        .await?;
        Ok(TopUsers {
            range,
            by,
            start: refresh.map(|refresh| refresh.period_start),
            as_of: refresh.map(|refresh| refresh.refreshed_at),
            total: refresh.map_or(0, |refresh| refresh.users),
            users,
        })
    }
}
