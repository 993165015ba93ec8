//! `GET /v1/admin/webhooks/{id}`: a receiver of facts.

use shared::http::webhooks::ShownWebhook;
use shared::lambda::{BoxError, api};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    api::run::<ShownWebhook>().await
}
