//! `PUT /v1/admin/node-access/{id}/revocation`: ends an access.

use shared::http::node_access::AccessRevocation;
use shared::lambda::{BoxError, api};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    api::run::<AccessRevocation>().await
}
