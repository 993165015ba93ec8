//! `POST /v1/admin/usage-corrections`: corrects what a user is billed.

use shared::http::usage_explanation::Corrections;
use shared::lambda::{BoxError, api};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    api::run::<Corrections>().await
}
