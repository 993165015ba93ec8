//! `POST /v1/admin/webhooks`: a new receiver of facts with its secret.

use shared::http::webhooks::NewWebhook;
use shared::lambda::{BoxError, api};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    api::run::<NewWebhook>().await
}
