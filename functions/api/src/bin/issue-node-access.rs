//! `POST /v1/admin/node-access`: a new access with its token.

use shared::http::node_access::NewAccess;
use shared::lambda::{BoxError, api};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    api::run::<NewAccess>().await
}
