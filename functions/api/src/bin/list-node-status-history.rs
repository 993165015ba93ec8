//! `GET /v1/node-status-history`: how many of a user's nodes were in each status, by hour.

use shared::http::node_status_history::NodeStatusHistory;
use shared::lambda::{BoxError, api};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    api::run::<NodeStatusHistory>().await
}
