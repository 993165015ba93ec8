//! `POST /v1/admin/quarantined-reports/{id}/release`: lets quarantined usage be billed.

use shared::http::quarantined_reports::Release;
use shared::lambda::{BoxError, api};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    api::run::<Release>().await
}
