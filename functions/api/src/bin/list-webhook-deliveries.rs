//! `GET /v1/admin/webhooks/{id}/deliveries`: the log of a receiver.

use shared::http::webhooks::DeliveryList;
use shared::lambda::{BoxError, api};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    api::run::<DeliveryList>().await
}
