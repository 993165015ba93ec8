//! `GET /v1/online-devices`: from how many addresses a user is connected now.

use shared::http::online::OnlineDevices;
use shared::lambda::{BoxError, api};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    api::run::<OnlineDevices>().await
}
