//! `GET /v1/admin/node-servers/{id}/metrics`: the metrics of a node server per hour.

use shared::http::node_servers::NodeServerMetrics;
use shared::lambda::{BoxError, api};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    api::run::<NodeServerMetrics>().await
}
