//! `GET /v1/usually-used-nodes`: the nodes that carried most of a user's traffic.

use shared::http::usually_used_nodes::UsuallyUsedNodes;
use shared::lambda::{BoxError, api};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    api::run::<UsuallyUsedNodes>().await
}
