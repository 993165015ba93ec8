//! `POST /v1/admin/package-queue/{id}/quota-adjustments`: raises or lowers a quota.

use shared::http::package_queue::QuotaAdjustments;
use shared::lambda::{BoxError, api};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    api::run::<QuotaAdjustments>().await
}
