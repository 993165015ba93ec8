//! `POST /v1/admin/users/{id}/node-credential/rotation`: a new secret for a user.

use shared::http::node_access::UserNodeCredentialRotation;
use shared::lambda::{BoxError, api};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    api::run::<UserNodeCredentialRotation>().await
}
