//! Every hour: records the status of every node server.

use shared::lambda::{BoxError, schedule};
use shared::services::cron::TelecomCronExecutor;
use shared::services::cron::record_node_status_history::RecordNodeStatusHistoryJob;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    schedule::run::<TelecomCronExecutor, _>(RecordNodeStatusHistoryJob).await
}
