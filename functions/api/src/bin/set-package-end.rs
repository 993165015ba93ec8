//! `PUT /v1/admin/package-queue/{id}/end`: sets when a package item ends.

use shared::http::package_queue::PackageEnd;
use shared::lambda::{BoxError, api};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    api::run::<PackageEnd>().await
}
