//! `GET /v1/admin/package-queue/{id}/usage-explanation`: how the counters of a package came about.

use shared::http::usage_explanation::PackageExplanation;
use shared::lambda::{BoxError, api};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    api::run::<PackageExplanation>().await
}
