//! `POST /v1/usage-reports`: collectors that have no AWS credentials.

use shared::lambda::BoxError;
use shared::lambda::node::{self, UsageReports};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    node::run::<UsageReports>().await
}
