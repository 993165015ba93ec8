//! `GET /v1/admin/package-queue`: package items, newest first.

use shared::http::package_queue::PackageQueue;
use shared::lambda::{BoxError, api};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    api::run::<PackageQueue>().await
}
