//! `PUT /v1/admin/packages/{id}/master`: selects the version that orders deliver.

use shared::http::packages::PackageMaster;
use shared::lambda::{BoxError, api};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    api::run::<PackageMaster>().await
}
