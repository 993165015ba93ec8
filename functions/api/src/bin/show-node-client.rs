//! `GET /v1/admin/node-clients/{id}`: all there is about a node client.

use shared::http::node_clients::NodeClient;
use shared::lambda::{BoxError, api};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    api::run::<NodeClient>().await
}
