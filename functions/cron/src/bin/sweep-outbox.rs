//! Every minute: sends messages that a crash or an outage left in the outbox.

use shared::lambda::{BoxError, schedule};
use shared::services::cron::TelecomCronExecutor;
use shared::services::cron::sweep_outbox::SweepOutboxJob;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    schedule::run::<TelecomCronExecutor, _>(SweepOutboxJob).await
}
