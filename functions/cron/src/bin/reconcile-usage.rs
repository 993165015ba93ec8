//! Every hour: compares accepted, recorded and charged usage, and reports differences.

use shared::lambda::{BoxError, schedule};
use shared::services::cron::TelecomCronExecutor;
use shared::services::cron::reconcile_usage::ReconcileUsageJob;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    schedule::run::<TelecomCronExecutor, _>(ReconcileUsageJob).await
}
