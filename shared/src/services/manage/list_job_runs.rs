//! `ListJobRuns`: lists the runs of scheduled jobs, newest first, and the newest runs of each job.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Serialize;

use super::ManageService;
use crate::auth::Access;
use crate::db::{self, job_run};
use crate::domain::job_run::{Filter, JobRun, JobSummary, PAGES};
use crate::error::Error;
use crate::services::{Operation, Processor};

/// Requests a page of runs of jobs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ListJobRuns {
    /// Maximum number of runs to return, within [`PAGES`]. `None` for the default.
    pub limit: Option<i64>,
    /// Number of runs to skip. `None` skips none.
    pub offset: Option<i64>,
    /// Conditions that the returned runs meet.
    pub filter: Filter,
}

impl Operation for ListJobRuns {
    const NAME: &'static str = "ListJobRuns";
    const ACCESS: Access = Access::AdminRead;
}

/// A page of runs of jobs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct JobRunPage {
    /// Runs of this page, newest first (in descending order of start, then id).
    pub runs: Vec<JobRun>,
    /// Number of matching runs on all pages. Counting stops at 10000, so there may be more.
    pub total: i64,
    /// The newest runs of each job, in alphabetical order. Only of the requested job if `job` is
    /// given. The other filters do not apply.
    pub summaries: Vec<JobSummary>,
}

#[async_trait]
impl Processor<ListJobRuns> for ManageService {
    type Output = JobRunPage;

    #[tracing::instrument(name = "list_job_runs", skip_all)]
    async fn process(&self, input: ListJobRuns) -> Result<JobRunPage, Error> {
        let page = PAGES.page(input.limit, input.offset)?;
        let filter = input.filter;
        if let (Some(start), Some(end)) = (filter.start, filter.end)
            && start >= end
        {
            return Err(Error::parameter("start", "a time before `end`"));
        }
        let now = self.context.now();
        db::read_tx(&self.pool, async |tx| {
            let (runs, total) = job_run::list(tx, filter, page, now).await?;
            let summaries = job_run::summaries(tx, filter.job, now).await?;
            Ok(JobRunPage {
                runs,
                total,
                summaries,
            })
        })
        .await
    }
}
