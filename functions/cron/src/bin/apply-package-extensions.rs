//! Every minute: adds the time of requested extensions to packages.

use shared::lambda::{BoxError, schedule};
use shared::services::cron::TelecomCronExecutor;
use shared::services::cron::apply_package_extensions::ApplyPackageExtensionsJob;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    schedule::run::<TelecomCronExecutor, _>(ApplyPackageExtensionsJob).await
}
