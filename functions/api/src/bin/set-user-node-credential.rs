//! `PUT /v1/admin/users/{id}/node-credential`: the secret that a user had elsewhere.

use shared::http::node_access::UserNodeCredential;
use shared::lambda::{BoxError, api};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    api::run::<UserNodeCredential>().await
}
