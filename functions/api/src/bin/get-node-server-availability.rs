//! `GET /v1/admin/node-servers/{id}/availability`: how long a node server was in each
//! status.

use shared::http::node_servers::NodeServerAvailability;
use shared::lambda::{BoxError, api};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    api::run::<NodeServerAvailability>().await
}
