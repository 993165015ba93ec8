//! `GET /v1/admin/node-servers/{id}`: all there is about a node server.

use shared::http::node_servers::NodeServer;
use shared::lambda::{BoxError, api};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    api::run::<NodeServer>().await
}
