//! `GET /v1/admin/usage-drifts`: amounts of usage that should be equal and are not.

use shared::http::usage_drifts::UsageDrifts;
use shared::lambda::{BoxError, api};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    api::run::<UsageDrifts>().await
}
