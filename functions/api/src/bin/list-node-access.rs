//! `GET /v1/admin/node-access`: accesses of node software and of collectors.

use shared::http::node_access::NodeAccessList;
use shared::lambda::{BoxError, api};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    api::run::<NodeAccessList>().await
}
