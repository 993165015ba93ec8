//! `GET /v1/admin/top-nodes`: the nodes with the most traffic.

use shared::http::analytics::TopNodes;
use shared::lambda::{BoxError, api};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    api::run::<TopNodes>().await
}
