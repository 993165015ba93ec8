//! Records the usage reports that collectors send to the usage-report queue.

use shared::lambda::{BoxError, sqs};
use shared::services::queue::ingest_usage_report::IngestUsageReports;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    sqs::run::<IngestUsageReports>().await
}
