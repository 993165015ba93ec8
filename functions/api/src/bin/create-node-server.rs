//! `POST /v1/admin/node-servers`: adds a node server.

use shared::http::node_servers::NewNodeServer;
use shared::lambda::{BoxError, api};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    api::run::<NewNodeServer>().await
}
