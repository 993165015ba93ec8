//! `GET /v1/admin/doubtful-pushes`: lists pushes that may have billed too much or too little.

use shared::http::doubtful_pushes::DoubtfulPushes;
use shared::lambda::{BoxError, api};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    api::run::<DoubtfulPushes>().await
}
