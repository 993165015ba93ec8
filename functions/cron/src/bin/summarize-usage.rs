//! Every minute: sums usage per node and per day, and finds the users with the most traffic.

use shared::lambda::{BoxError, schedule};
use shared::services::cron::TelecomCronExecutor;
use shared::services::cron::summarize_usage::SummarizeUsageJob;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    schedule::run::<TelecomCronExecutor, _>(SummarizeUsageJob).await
}
