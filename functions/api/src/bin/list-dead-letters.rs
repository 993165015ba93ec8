//! `GET /v1/admin/dead-letters`: counts messages that could not be processed, with the reasons.

use shared::http::operations::DeadLetters;
use shared::lambda::{BoxError, api};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    api::run::<DeadLetters>().await
}
