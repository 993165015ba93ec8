//! `GET /v1/nodes`: the nodes that a user's active package gives access to.

use shared::http::nodes::Nodes;
use shared::lambda::{BoxError, api};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    api::run::<Nodes>().await
}
