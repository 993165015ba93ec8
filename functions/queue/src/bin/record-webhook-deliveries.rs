//! Records a delivery of each fact to each webhook that wants it.

use shared::lambda::{BoxError, sqs};
use shared::services::queue::record_webhook_deliveries::RecordWebhookDeliveries;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    sqs::run::<RecordWebhookDeliveries>().await
}
