//! `PUT /v1/admin/orders/{id}/cancellation`: cancels an order.

use shared::http::orders::OrderCancellation;
use shared::lambda::{BoxError, api};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    api::run::<OrderCancellation>().await
}
