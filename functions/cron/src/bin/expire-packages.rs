//! Every minute: announces packages whose time is over, activates waiting packages, and publishes
//! which packages end soon.

use shared::lambda::{BoxError, schedule};
use shared::services::cron::TelecomCronExecutor;
use shared::services::cron::expire_packages::PackageExpiringJob;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    schedule::run::<TelecomCronExecutor, _>(PackageExpiringJob).await
}
