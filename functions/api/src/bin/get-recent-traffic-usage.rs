//! `GET /v1/traffic-usage`: a user's traffic over the last day, week or month.

use shared::http::traffic_usage::TrafficUsage;
use shared::lambda::{BoxError, api};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    api::run::<TrafficUsage>().await
}
