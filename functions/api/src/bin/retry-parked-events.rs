//! `POST /v1/admin/parked-events/retry`: retries parked usage.

use shared::http::operations::ParkedEventRetry;
use shared::lambda::{BoxError, api};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    api::run::<ParkedEventRetry>().await
}
