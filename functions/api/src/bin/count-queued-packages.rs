//! `GET /v1/admin/package-queue/counts`: package items by series and status.

use shared::http::package_queue::PackageQueueCounts;
use shared::lambda::{BoxError, api};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    api::run::<PackageQueueCounts>().await
}
