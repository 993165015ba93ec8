//! `CountQueuedPackages`: counts package items by series and status.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Serialize;

use super::ManageService;
use crate::auth::Access;
use crate::db;
use crate::db::queued_package::count_by_series;
use crate::domain::queued_package::{PackageQueueCounts, PackageSeriesCounts};
use crate::error::Error;
use crate::services::{Operation, Processor};

/// Requests the number of package items by series and status.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CountQueuedPackages;

impl Operation for CountQueuedPackages {
    const NAME: &'static str = "CountQueuedPackages";
    const ACCESS: Access = Access::AdminRead;
}

/// Number of package items by series and status.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct QueuedPackageCounts {
    /// Every series that has a package, sorted by name, then by series id.
    pub series: Vec<PackageSeriesCounts>,
    /// Totals over all series.
    pub all: PackageQueueCounts,
}

#[async_trait]
impl Processor<CountQueuedPackages> for ManageService {
    type Output = QueuedPackageCounts;

    #[tracing::instrument(name = "count_queued_packages", skip_all)]
    async fn process(&self, _: CountQueuedPackages) -> Result<QueuedPackageCounts, Error> {
        let series = db::on_connection(&self.pool, count_by_series).await?;
        let all = series
            .iter()
            .map(|series| series.counts)
            .fold(PackageQueueCounts::default(), PackageQueueCounts::plus);
        Ok(QueuedPackageCounts { series, all })
    }
}
