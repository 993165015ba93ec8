//! `GET /v1/admin/packages/{id}`: returns a package.

use shared::http::packages::Package;
use shared::lambda::{BoxError, api};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    api::run::<Package>().await
}
