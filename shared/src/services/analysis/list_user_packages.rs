//! `ListUserPackages`: lists a user's waiting, active and ended packages.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Serialize;
use uuid::Uuid;

use super::AnalysisService;
use crate::auth::Access;
use crate::db::{self, queued_package};
use crate::domain::page::PageBounds;
use crate::domain::queued_package::{Filter, PackageQueueStatus, QueuedPackage};
use crate::error::Error;
use crate::services::{Operation, Processor};

/// Requests a page of a user's packages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListUserPackages {
    /// Id of the user.
    pub user_id: Uuid,
    /// Maximum number of items to return, within [`Self::BOUNDS`]. `None` for the default.
    pub limit: Option<i64>,
    /// Number of items to skip. `None` skips none.
    pub offset: Option<i64>,
    /// Status of the returned items. `None` for all.
    pub status: Option<PackageQueueStatus>,
}

impl ListUserPackages {
    /// Limits of a page.
    pub const BOUNDS: PageBounds = PageBounds {
        default_limit: 50,
        max_limit: 200,
        max_offset: 10_000,
    };
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
        let page = ListUserPackages::BOUNDS.page(input.limit, input.offset)?;
        let filter = Filter {
            user: Some(input.user_id),
            status: input.status,
            ..Filter::default()
        };
        db::read_tx(&self.pool, async |tx| {
            let most = ListUserPackages::BOUNDS.max_offset;
            let (ids, total) = queued_package::find(tx, filter, page, most).await?;
            let packages = queued_package::show(tx, &ids).await?;
            Ok(UserPackages { packages, total })
        })
        .await
    }
}
