//! `ListQuarantinedReports`: lists reports with usage that waits for a release, or was released.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Serialize;

use super::ManageService;
use crate::auth::Access;
use crate::db::{self, quarantined_report};
use crate::domain::node_id;
use crate::domain::quarantine::{Filter, PAGES, QuarantinedReport};
use crate::error::Error;
use crate::services::{Operation, Processor};

/// Requests a page of quarantined reports.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ListQuarantinedReports {
    /// Maximum number of reports to return, within [`PAGES`]. `None` for the default.
    pub limit: Option<i64>,
    /// Number of reports to skip. `None` skips none.
    pub offset: Option<i64>,
    /// Which reports to return.
    pub filter: Filter,
}

impl Operation for ListQuarantinedReports {
    const NAME: &'static str = "ListQuarantinedReports";
    const ACCESS: Access = Access::AdminRead;
}

/// A page of quarantined reports.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct QuarantinedReports {
    /// Reports of this page, newest first (in descending order of id).
    pub reports: Vec<QuarantinedReport>,
    /// Number of matching reports on all pages. Counting stops at 10000, so there may be more.
    pub total: i64,
}

#[async_trait]
impl Processor<ListQuarantinedReports> for ManageService {
    type Output = QuarantinedReports;

    #[tracing::instrument(name = "list_quarantined_reports", skip_all)]
    async fn process(&self, input: ListQuarantinedReports) -> Result<QuarantinedReports, Error> {
        let page = PAGES.page(input.limit, input.offset)?;
        let server = input.filter.server_id;
        server.map(|id| node_id("server_id", id)).transpose()?;
        let (reports, total) = db::read_tx(&self.pool, async |tx| {
            quarantined_report::list(tx, input.filter, page).await
        })
        .await?;
        Ok(QuarantinedReports { reports, total })
    }
}
