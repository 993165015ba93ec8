//! `PUT /v1/admin/orders/{id}`: delivers an order once.

use shared::http::orders::Order;
use shared::lambda::{BoxError, api};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    api::run::<Order>().await
}
