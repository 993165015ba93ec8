//! `ListUsageCorrections`: lists the corrections of what users are billed.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Serialize;
use uuid::Uuid;

use super::ManageService;
use crate::auth::Access;
use crate::db::{self, usage_correction};
use crate::domain::usage_explanation::{CORRECTION_PAGES, UsageCorrection};
use crate::error::Error;
use crate::services::{Operation, Processor};

/// Requests a page of corrections.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ListUsageCorrections {
    /// Maximum number of corrections to return, within [`CORRECTION_PAGES`]. `None` for the
    /// default.
    pub limit: Option<i64>,
    /// Number of corrections to skip. `None` skips none.
    pub offset: Option<i64>,
    /// The user whose corrections are returned. `None` for all users.
    pub user: Option<Uuid>,
}

impl Operation for ListUsageCorrections {
    const NAME: &'static str = "ListUsageCorrections";
    const ACCESS: Access = Access::AdminRead;
}

/// A page of corrections.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct UsageCorrections {
    /// Corrections of this page, newest first.
    pub corrections: Vec<UsageCorrection>,
    /// Number of matching corrections on all pages. Counting stops at 10000, so there may be more.
    pub total: i64,
}

#[async_trait]
impl Processor<ListUsageCorrections> for ManageService {
    type Output = UsageCorrections;

    #[tracing::instrument(name = "list_usage_corrections", skip_all)]
    async fn process(&self, input: ListUsageCorrections) -> Result<UsageCorrections, Error> {
        let page = CORRECTION_PAGES.page(input.limit, input.offset)?;
        let (corrections, total) = db::read_tx(&self.pool, async |tx| {
            usage_correction::list(tx, input.user, page).await
        })
        .await?;
        Ok(UsageCorrections { corrections, total })
    }
}
