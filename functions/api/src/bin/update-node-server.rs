//! `PATCH /v1/admin/node-servers/{id}`: changes the settings of a node server.

use shared::http::node_servers::NodeServerUpdate;
use shared::lambda::{BoxError, api};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    api::run::<NodeServerUpdate>().await
}
