//! Every minute: sends facts to the receivers of webhooks.

use shared::lambda::{BoxError, schedule};
use shared::services::cron::deliver_webhooks::{DeliverWebhooksJob, WebhookDispatcher};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    schedule::run::<WebhookDispatcher, _>(DeliverWebhooksJob).await
}
