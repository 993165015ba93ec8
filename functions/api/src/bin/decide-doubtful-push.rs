//! `POST /v1/admin/doubtful-pushes/{id}/decision`: decides about a doubtful push.

use shared::http::doubtful_pushes::PushDecision;
use shared::lambda::{BoxError, api};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    api::run::<PushDecision>().await
}
