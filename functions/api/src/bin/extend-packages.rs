//! `POST /v1/admin/package-queue/extensions`: adds hours to the time of many active packages.

use shared::http::package_queue::PackageExtensions;
use shared::lambda::{BoxError, api};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    api::run::<PackageExtensions>().await
}
