//! `GET /v1/admin/traffic-usage`: traffic of any user or node.

use shared::http::analytics::AnyTrafficUsage;
use shared::lambda::{BoxError, api};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    api::run::<AnyTrafficUsage>().await
}
