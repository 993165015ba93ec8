//! `PUT /v1/admin/packages/{id}/retirement`: ends the sale of a package.

use shared::http::packages::PackageRetirement;
use shared::lambda::{BoxError, api};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    api::run::<PackageRetirement>().await
}
