//! Invoked by each deployment: migrates the database to the schema that the code expects.

use shared::lambda::{BoxError, deployment};
use shared::services::migrate::Migrate;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    deployment::run::<Migrate>().await
}
