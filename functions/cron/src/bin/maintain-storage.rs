//! Every hour: creates partitions in advance, and deletes data that is past its retention.

use shared::lambda::{BoxError, schedule};
use shared::services::cron::TelecomCronExecutor;
use shared::services::cron::maintain_storage::MaintainStorageJob;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    schedule::run::<TelecomCronExecutor, _>(MaintainStorageJob).await
}
