//! `ListPackageSeries`: lists the package series with their versions.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Serialize;

use super::ManageService;
use crate::auth::Access;
use crate::db::{self, package};
use crate::domain::package_version::{PackageSeries, SERIES_PAGES};
use crate::error::Error;
use crate::services::{Operation, Processor};

/// Requests a page of package series.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ListPackageSeries {
    /// Maximum number of series to return, within [`SERIES_PAGES`]. `None` for the default.
    pub limit: Option<i64>,
    /// Number of series to skip. `None` skips none.
    pub offset: Option<i64>,
}

impl Operation for ListPackageSeries {
    const NAME: &'static str = "ListPackageSeries";
    const ACCESS: Access = Access::AdminRead;
}

/// A page of package series.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct PackageSeriesPage {
    /// Series of this page, in ascending order of id.
    pub series: Vec<PackageSeries>,
    /// Number of series on all pages.
    pub total: i64,
}

#[async_trait]
impl Processor<ListPackageSeries> for ManageService {
    type Output = PackageSeriesPage;

    #[tracing::instrument(name = "list_package_series", skip_all)]
    async fn process(&self, input: ListPackageSeries) -> Result<PackageSeriesPage, Error> {
        let page = SERIES_PAGES.page(input.limit, input.offset)?;
        let (series, total) =
            db::read_tx(&self.pool, async |tx| package::list_series(tx, page).await).await?;
        Ok(PackageSeriesPage { series, total })
    }
}
