//! `ListUserPackages`: lists a user's waiting, active and ended packages.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Serialize;
use uuid::Uuid;

use super::AnalysisService;
use crate::auth::Access;
use crate::db::{self, queued_package};
use crate::domain::queued_package::{Filter, PAGES, PackageQueueStatus, QueuedPackage};
use crate::error::Error;
use crate::services::{Operation, Processor};

/// Requests a page of a user's packages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListUserPackages {
    /// Id of the user.
    pub user_id: Uuid,
    /// Maximum number of items to return, within [`PAGES`]. `None` for the default.
    pub limit: Option<i64>,
    /// Number of items to skip. `None` skips none.
    pub offset: Option<i64>,
    /// Status of the returned items. `None` for all.
    pub status: Option<PackageQueueStatus>,
}

impl Operation for ListUserPackages {
    const NAME: &'static str = "ListPackages";
    const ACCESS: Access = Access::User;
}

/// A page of a user's packages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct UserPackages {
    /// Packages of this page, newest first (in descending order of id).
    pub packages: Vec<QueuedPackage>,
    /// Number of matching packages on all pages. Counting stops at 10000, so there may be more.
    pub total: i64,
}

#[async_trait]
impl Processor<ListUserPackages> for AnalysisService {
    type Output = UserPackages;

    #[tracing::instrument(name = "list_user_packages", skip_all)]
    async fn process(&self, input: ListUserPackages) -> Result<UserPackages, Error> {
        let page = PAGES.page(input.limit, input.offset)?;
        let filter = Filter {
            user: Some(input.user_id),
            status: input.status,
            ..Filter::default()
        };
        let (packages, total) = db::read_tx(&self.pool, async |tx| {
            queued_package::list(tx, filter, page).await
        })
        .await?;
        Ok(UserPackages { packages, total })
    }
}
