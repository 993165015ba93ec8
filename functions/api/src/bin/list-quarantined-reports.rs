//! `GET /v1/admin/quarantined-reports`: reports with usage that is or was in quarantine.

use shared::http::quarantined_reports::QuarantinedReports;
use shared::lambda::{BoxError, api};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    api::run::<QuarantinedReports>().await
}
