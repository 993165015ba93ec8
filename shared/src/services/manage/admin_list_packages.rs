//! `AdminListPackages`: lists package items with their whole history, newest first.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Serialize;

use super::ManageService;
use crate::auth::Access;
use crate::db;
use crate::db::queued_package;
use crate::domain::queued_package::{Filter, PAGES, QueuedPackage};
use crate::domain::within;
use crate::error::Error;
use crate::services::{Operation, Processor};

/// Requests a page of package items.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AdminListPackages {
    /// Maximum number of items to return, within [`PAGES`]. `None` for the default.
    pub limit: Option<i64>,
    /// Number of items to skip. `None` skips none.
    pub offset: Option<i64>,
    /// Conditions that the returned items meet.
    pub filter: Filter,
}

impl Operation for AdminListPackages {
    const NAME: &'static str = "ListQueuedPackages";
    const ACCESS: Access = Access::AdminRead;
}

/// A page of package items.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct AdminPackages {
    /// Package items of this page, newest first (in descending order of id).
    pub packages: Vec<QueuedPackage>,
    /// Number of matching package items on all pages. Counting stops at 10000, so there may be
    /// more.
    pub total: i64,
}

#[async_trait]
impl Processor<AdminListPackages> for ManageService {
    type Output = AdminPackages;

    #[tracing::instrument(name = "admin_list_packages", skip_all)]
    async fn process(&self, input: AdminListPackages) -> Result<AdminPackages, Error> {
        let page = PAGES.page(input.limit, input.offset)?;
        if let Some(package) = input.filter.package {
            within("package", package, 1, i64::MAX)?;
        }
        let (packages, total) = db::read_tx(&self.pool, async |tx| {
            queued_package::list(tx, input.filter, page).await
        })
        .await?;
        Ok(AdminPackages { packages, total })
    }
}
