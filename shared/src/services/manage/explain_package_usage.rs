//! `ExplainPackageUsage`: shows how the counters of a package item came about.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Serialize;
use uuid::Uuid;

use super::ManageService;
use crate::auth::Access;
use crate::db::{self, usage_explanation};
use crate::domain::traffic_usage::TrafficSum;
use crate::domain::usage_explanation::{ExplainedUsage, PAGES};
use crate::domain::within;
use crate::error::Error;
use crate::services::{Operation, Processor};

/// Requests how the counters of a package item came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExplainPackageUsage {
    /// Id of the package item.
    pub id: i64,
    /// Maximum number of hours to return, within [`PAGES`]. `None` for the default.
    pub limit: Option<i64>,
    /// Number of hours to skip. `None` skips none.
    pub offset: Option<i64>,
}

impl Operation for ExplainPackageUsage {
    const NAME: &'static str = "ExplainPackageUsage";
    const ACCESS: Access = Access::AdminRead;
}

/// How the counters of a package item came about: `upload` is the `billed_upload` of `sum` plus
/// `unexplained_upload`, and the same for download. `ExplainUsage` explains each hour further.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct PackageUsageExplanation {
    /// Id of the package item.
    pub id: i64,
    /// Id of the item's owner.
    pub user: Uuid,
    /// Counter of the item: bytes charged for upload.
    pub upload: i64,
    /// Counter of the item: bytes charged for download.
    pub download: i64,
    /// The hourly usage that is charged to the item, of this page, newest first.
    pub usage: Vec<ExplainedUsage>,
    /// Number of rows of hourly usage on all pages.
    pub total: i64,
    /// Sum of all pages.
    pub sum: TrafficSum,
    /// What is left of `upload`. 0 while the hourly usage is kept, 400 days by default.
    pub unexplained_upload: i64,
    /// What is left of `download`.
    pub unexplained_download: i64,
}

#[async_trait]
impl Processor<ExplainPackageUsage> for ManageService {
    type Output = PackageUsageExplanation;

    #[tracing::instrument(name = "explain_package_usage", skip_all)]
    async fn process(&self, input: ExplainPackageUsage) -> Result<PackageUsageExplanation, Error> {
        let page = PAGES.page(input.limit, input.offset)?;
        let id = within("id", input.id, 1, i64::MAX)?;
        let (item, usage) = db::read_tx(&self.pool, async |tx| {
            let item = usage_explanation::item_sums(tx, id).await?;
            let item = item.ok_or_else(|| Error::not_found(&format!("Package item {id}")))?;
            let usage = usage_explanation::of_item(tx, id, item.user, page).await?;
            Ok((item, usage))
        })
        .await?;
        let left = |counter: i64, billed| counter.checked_sub(billed).ok_or_else(Error::overflow);
        Ok(PackageUsageExplanation {
            id,
            user: item.user,
            upload: item.upload,
            download: item.download,
            usage,
            total: item.rows,
            sum: TrafficSum {
                raw_upload: item.raw_upload,
                raw_download: item.raw_download,
                billed_upload: item.billed_upload,
                billed_download: item.billed_download,
                corrected_upload: item.corrected_upload,
                corrected_download: item.corrected_download,
            },
            unexplained_upload: left(item.upload, item.billed_upload)?,
            unexplained_download: left(item.download, item.billed_download)?,
        })
    }
}
