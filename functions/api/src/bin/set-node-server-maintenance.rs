//! `PUT /v1/admin/node-servers/{id}/maintenance`: takes a node server out of service, or back.

use shared::http::node_servers::NodeServerMaintenance;
use shared::lambda::{BoxError, api};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    api::run::<NodeServerMaintenance>().await
}
