//! `POST /v1/node-credential/rotation`: a new secret for the caller.

use shared::http::node_access::NodeCredentialRotation;
use shared::lambda::{BoxError, api};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    api::run::<NodeCredentialRotation>().await
}
