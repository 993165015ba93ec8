//! Every minute: updates the status of node servers that stopped or resumed reporting.

use shared::lambda::{BoxError, schedule};
use shared::services::cron::TelecomCronExecutor;
use shared::services::cron::refresh_server_status::RefreshServerStatus;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    schedule::run::<TelecomCronExecutor, _>(RefreshServerStatus).await
}
