//! `GET /v1/admin/usage-explanation`: how the usage of a user's hour came about.

use shared::http::usage_explanation::HourExplanation;
use shared::lambda::{BoxError, api};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    api::run::<HourExplanation>().await
}
