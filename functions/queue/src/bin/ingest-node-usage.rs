//! Records what node software and collectors report over HTTPS, from the node-usage queue.

use shared::lambda::{BoxError, sqs};
use shared::services::queue::ingest_node_usage::IngestNodeUsage;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    sqs::run::<IngestNodeUsage>().await
}
