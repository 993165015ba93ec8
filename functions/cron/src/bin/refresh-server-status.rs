//! Every minute: marks node servers that went silent or came back.

use shared::lambda::{BoxError, schedule};
use shared::services::cron::TelecomCronExecutor;
use shared::services::cron::refresh_server_status::RefreshServerStatus;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    schedule::run::<TelecomCronExecutor, _>(RefreshServerStatus).await
}
