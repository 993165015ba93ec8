//! `POST /v1/admin/node-clients`: adds a node client.

use shared::http::node_clients::NewNodeClient;
use shared::lambda::{BoxError, api};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    api::run::<NewNodeClient>().await
}
