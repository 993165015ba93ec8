//! `GET /v1/node-status-history`: hour by hour, how many of a user's nodes were up.

use shared::http::node_status_history::NodeStatusHistory;
use shared::lambda::{BoxError, api};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    api::run::<NodeStatusHistory>().await
}
