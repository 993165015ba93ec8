//! `ListDoubtfulPushes`: lists pushes of node software that may have billed too much or too little.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Serialize;

use super::ManageService;
use crate::auth::Access;
use crate::db::{self, doubtful_push};
use crate::domain::doubtful_push::{DoubtfulPush, Filter, PAGES};
use crate::domain::node_id;
use crate::error::Error;
use crate::services::{Operation, Processor};

/// Requests a page of doubtful pushes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ListDoubtfulPushes {
    /// Maximum number of pushes to return, within [`PAGES`]. `None` for the default.
    pub limit: Option<i64>,
    /// Number of pushes to skip. `None` skips none.
    pub offset: Option<i64>,
    /// Which pushes to return.
    pub filter: Filter,
}

impl Operation for ListDoubtfulPushes {
    const NAME: &'static str = "ListDoubtfulPushes";
    const ACCESS: Access = Access::AdminRead;
}

/// A page of doubtful pushes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct DoubtfulPushes {
    /// Pushes of this page, in descending order of id. A push with several doubts is listed once
    /// for each.
    pub pushes: Vec<DoubtfulPush>,
    /// Number of matching pushes on all pages. Counting stops at 10000, so there may be more.
    pub total: i64,
}

#[async_trait]
impl Processor<ListDoubtfulPushes> for ManageService {
    type Output = DoubtfulPushes;

    #[tracing::instrument(name = "list_doubtful_pushes", skip_all)]
    async fn process(&self, input: ListDoubtfulPushes) -> Result<DoubtfulPushes, Error> {
        let page = PAGES.page(input.limit, input.offset)?;
        let Filter {
            server_id,
            node_client_id,
            ..
        } = input.filter;
        for (field, id) in [("server_id", server_id), ("node_client_id", node_client_id)] {
            id.map(|id| node_id(field, id)).transpose()?;
        }
        let (pushes, total) = db::read_tx(&self.pool, async |tx| {
            doubtful_push::list(tx, input.filter, page).await
        })
        .await?;
        Ok(DoubtfulPushes { pushes, total })
    }
}
