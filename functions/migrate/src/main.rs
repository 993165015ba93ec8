//! Invoked at deploy: brings the database to the schema that the code expects.

use shared::lambda::{BoxError, schedule};
use shared::services::migrate::Migrate;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    schedule::run::<Migrate, _>(std::convert::identity).await
}
