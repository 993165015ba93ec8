//! Moves users from a package that ran out to the next, on route `telecom.package_expiring`.

use shared::lambda::{BoxError, sqs};
use shared::services::queue::handle_package_expiring::HandlePackageExpiring;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    sqs::run::<HandlePackageExpiring>().await
}
