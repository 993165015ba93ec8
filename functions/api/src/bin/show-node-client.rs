//! `GET /v1/admin/node-clients/{id}`: a node client with its node server and metrics.

use shared::http::node_clients::NodeClient;
use shared::lambda::{BoxError, api};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    api::run::<NodeClient>().await
}
