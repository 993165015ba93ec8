//! `GET /v1/packages`: a user's waiting, active and ended packages.

use shared::http::package_queue::Packages;
use shared::lambda::{BoxError, api};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    api::run::<Packages>().await
}
