//! `PUT /v1/admin/node-servers/{id}/maintenance`: starts or ends the maintenance of a
//! node server.

use shared::http::node_servers::NodeServerMaintenance;
use shared::lambda::{BoxError, api};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    api::run::<NodeServerMaintenance>().await
}
