//! `ListParkedEvents`: lists usage that could not be charged and waits for a retry.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Serialize;
use uuid::Uuid;

use super::ManageService;
use crate::auth::Access;
use crate::db::{self, parked_event};
use crate::domain::parked_usage::{PAGES, ParkedUsage};
use crate::error::Error;
use crate::services::{Operation, Processor};

/// Requests a page of parked events.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ListParkedEvents {
    /// Maximum number of events to return, within [`PAGES`]. `None` for the default.
    pub limit: Option<i64>,
    /// Number of events to skip. `None` skips none.
    pub offset: Option<i64>,
    /// The user whose events are returned. `None` for all users.
    pub user: Option<Uuid>,
}

impl Operation for ListParkedEvents {
    const NAME: &'static str = "ListParkedEvents";
    const ACCESS: Access = Access::AdminRead;
}

/// A page of parked events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ParkedEvents {
    /// Events of this page, in ascending order of id, which is the order in which they were parked.
    pub events: Vec<ParkedUsage>,
    /// Number of matching events on all pages. Counting stops at 10000, so there may be more.
    pub total: i64,
}

#[async_trait]
impl Processor<ListParkedEvents> for ManageService {
    type Output = ParkedEvents;

    #[tracing::instrument(name = "list_parked_events", skip_all)]
    async fn process(&self, input: ListParkedEvents) -> Result<ParkedEvents, Error> {
        let page = PAGES.page(input.limit, input.offset)?;
        let (events, total) = db::read_tx(&self.pool, async |tx| {
            parked_event::list(tx, input.user, page).await
        })
        .await?;
        Ok(ParkedEvents { events, total })
    }
}
