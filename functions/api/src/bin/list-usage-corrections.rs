//! `GET /v1/admin/usage-corrections`: lists the corrections of what users are billed.

use shared::http::usage_explanation::ListedCorrections;
use shared::lambda::{BoxError, api};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    api::run::<ListedCorrections>().await
}
