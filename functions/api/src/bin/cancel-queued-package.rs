//! `PUT /v1/admin/package-queue/{id}/cancellation`: cancels a package item.

use shared::http::package_queue::PackageCancellation;
use shared::lambda::{BoxError, api};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    api::run::<PackageCancellation>().await
}
