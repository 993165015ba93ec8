//! `POST /v1/admin/webhook-deliveries/{id}/redelivery`: a fact, once more.

use shared::http::webhooks::Redelivery;
use shared::lambda::{BoxError, api};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    api::run::<Redelivery>().await
}
