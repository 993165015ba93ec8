//! `GET /v1/admin/package-series`: lists package series with their versions.

use shared::http::packages::PackageSeries;
use shared::lambda::{BoxError, api};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    api::run::<PackageSeries>().await
}
