//! `GET /docs` and `GET /v1/openapi.json`: the documentation of the API.

use shared::lambda::{BoxError, api};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    api::run_documentation().await
}
