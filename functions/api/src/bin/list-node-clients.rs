//! `GET /v1/admin/node-clients`: node clients.

use shared::http::node_clients::NodeClients;
use shared::lambda::{BoxError, api};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    api::run::<NodeClients>().await
}
