//! Every hour, after the snapshot: refreshes the materialized view of the status history, and
//! deletes history that is past its retention.

use shared::lambda::{BoxError, schedule};
use shared::services::cron::TelecomCronExecutor;
use shared::services::cron::refresh_node_status_view::RefreshNodeStatusViewJob;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    schedule::run::<TelecomCronExecutor, _>(RefreshNodeStatusViewJob).await
}
