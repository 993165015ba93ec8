//! `PUT /v1/admin/node-servers/{id}/archive`: takes a node server out of use.

use shared::http::node_servers::NodeServerArchive;
use shared::lambda::{BoxError, api};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    api::run::<NodeServerArchive>().await
}
