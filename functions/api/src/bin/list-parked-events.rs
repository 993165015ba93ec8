//! `GET /v1/admin/parked-events`: lists usage that could not be charged.

use shared::http::operations::ParkedEvents;
use shared::lambda::{BoxError, api};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    api::run::<ParkedEvents>().await
}
