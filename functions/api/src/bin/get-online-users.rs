//! `GET /v1/admin/online-users`: the users who are connected now.

use shared::http::online::OnlineUsers;
use shared::lambda::{BoxError, api};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    api::run::<OnlineUsers>().await
}
