//! `ListUsageDrifts`: lists amounts of usage that should be equal and are not.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Serialize;

use super::ManageService;
use crate::auth::Access;
use crate::db::{self, usage_drift};
use crate::domain::drift::{DriftKind, PAGES, UsageDrift};
use crate::error::Error;
use crate::services::{Operation, Processor};

/// Requests a page of the drifts that no operator has accepted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ListUsageDrifts {
    /// Maximum number of drifts to return, within [`PAGES`]. `None` for the default.
    pub limit: Option<i64>,
    /// Number of drifts to skip. `None` skips none.
    pub offset: Option<i64>,
    /// Only drifts of this kind. `None` for all kinds.
    pub kind: Option<DriftKind>,
}

impl Operation for ListUsageDrifts {
    const NAME: &'static str = "ListUsageDrifts";
    const ACCESS: Access = Access::AdminRead;
}

/// A page of drifts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct UsageDrifts {
    /// Drifts of this page, those that were first found last at the beginning.
    pub drifts: Vec<UsageDrift>,
    /// Number of matching drifts on all pages. Counting stops at 10000, so there may be more.
    pub total: i64,
}

#[async_trait]
impl Processor<ListUsageDrifts> for ManageService {
    type Output = UsageDrifts;

    #[tracing::instrument(name = "list_usage_drifts", skip_all)]
    async fn process(&self, input: ListUsageDrifts) -> Result<UsageDrifts, Error> {
        let page = PAGES.page(input.limit, input.offset)?;
        let (drifts, total) = db::read_tx(&self.pool, async |tx| {
            usage_drift::list(tx, input.kind, page).await
        })
        .await?;
        Ok(UsageDrifts { drifts, total })
    }
}
