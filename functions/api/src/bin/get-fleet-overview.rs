//! `GET /v1/admin/overview`: the fleet at a glance.

use shared::http::analytics::Overview;
use shared::lambda::{BoxError, api};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    api::run::<Overview>().await
}
