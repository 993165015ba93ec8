//! `POST /v1/admin/webhooks/{id}/secret/rotation`: a new secret of a receiver.

use shared::http::webhooks::SecretRotation;
use shared::lambda::{BoxError, api};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    api::run::<SecretRotation>().await
}
