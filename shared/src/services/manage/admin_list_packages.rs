//! `AdminListPackages`: package items, newest first, with their whole life.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Serialize;

use super::ManageService;
use crate::auth::Access;
use crate::db;
use crate::db::queued_package;
use crate::domain::page::PageBounds;
use crate::domain::queued_package::{Filter, QueuedPackage};
use crate::domain::within;
use crate::error::Error;
use crate::services::{Operation, Processor};

/// Asks for package items.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AdminListPackages {
    /// At most so many, see [`Self::BOUNDS`].
    pub limit: Option<i64>,
    /// After leaving out so many.
    pub offset: Option<i64>,
    /// Which.
    pub filter: Filter,
}

impl AdminListPackages {
    /// Items are counted up to here: who has more of them filters.
    pub const MAX_TOTAL: i64 = 10_000;
    /// What the list allows.
    pub const BOUNDS: PageBounds = PageBounds {
        default_limit: 50,
        max_limit: 200,
        max_offset: Self::MAX_TOTAL,
    };
}

impl Operation for AdminListPackages {
    const NAME: &'static str = "ListQueuedPackages";
    const ACCESS: Access = Access::Admin;
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
        let page = AdminListPackages::BOUNDS.page(input.limit, input.offset)?;
        if let Some(package) = input.filter.package {
            within("package", package, 1, i64::MAX)?;
        }
        db::read_tx(&self.pool, async |tx| {
            let (ids, total) =
                queued_package::find(tx, input.filter, page, AdminListPackages::MAX_TOTAL).await?;
            let packages = queued_package::show(tx, &ids).await?;
            Ok(AdminPackages { packages, total })
        })
        .await
    }
}
