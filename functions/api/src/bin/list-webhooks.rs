//! `GET /v1/admin/webhooks`: the receivers of facts.

use shared::http::webhooks::WebhookList;
use shared::lambda::{BoxError, api};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    api::run::<WebhookList>().await
}
