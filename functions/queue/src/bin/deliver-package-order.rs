//! Delivers and cancels the orders that the shop sends to the package-order queue.

use shared::lambda::{BoxError, sqs};
use shared::services::queue::deliver_package_order::DeliverPackageOrder;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    sqs::run::<DeliverPackageOrder>().await
}
