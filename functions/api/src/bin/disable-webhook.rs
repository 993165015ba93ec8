//! `PUT /v1/admin/webhooks/{id}/disablement`: no more facts for a receiver.

use shared::http::webhooks::WebhookDisablement;
use shared::lambda::{BoxError, api};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    api::run::<WebhookDisablement>().await
}
