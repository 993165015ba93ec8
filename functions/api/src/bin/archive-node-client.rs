//! `PUT /v1/admin/node-clients/{id}/archive`: takes a node client out of use.

use shared::http::node_clients::NodeClientArchive;
use shared::lambda::{BoxError, api};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    api::run::<NodeClientArchive>().await
}
