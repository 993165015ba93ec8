//! `PATCH /v1/admin/node-clients/{id}`: changes the settings of a node client.

use shared::http::node_clients::NodeClientUpdate;
use shared::lambda::{BoxError, api};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    api::run::<NodeClientUpdate>().await
}
