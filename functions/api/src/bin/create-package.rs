//! `POST /v1/admin/packages`: creates a package series, or the next version of one.

use shared::http::packages::NewPackage;
use shared::lambda::{BoxError, api};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    api::run::<NewPackage>().await
}
