//! `GET /v1/admin/job-runs`: lists the runs of scheduled jobs.

use shared::http::operations::JobRuns;
use shared::lambda::{BoxError, api};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    api::run::<JobRuns>().await
}
