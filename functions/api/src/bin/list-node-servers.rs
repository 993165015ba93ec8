//! `GET /v1/admin/node-servers`: node servers.

use shared::http::node_servers::NodeServers;
use shared::lambda::{BoxError, api};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    api::run::<NodeServers>().await
}
