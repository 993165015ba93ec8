//! Applies the billing events of route `telecom.user_usage_billing`.

use shared::lambda::{BoxError, sqs};
use shared::services::queue::apply_user_usage_billing::TelecomBillingHook;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    sqs::run::<TelecomBillingHook>().await
}
