//! `GET /v1/admin/top-users`: the users with the most traffic.

use shared::http::analytics::TopUsers;
use shared::lambda::{BoxError, api};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    api::run::<TopUsers>().await
}
