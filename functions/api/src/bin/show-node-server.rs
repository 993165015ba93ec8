//! `GET /v1/admin/node-servers/{id}`: a node server with its configuration and
//! metrics.

use shared::http::node_servers::NodeServer;
use shared::lambda::{BoxError, api};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    api::run::<NodeServer>().await
}
