//! `GET /console/…`: the console, a web page over the HTTP API.

use shared::lambda::{BoxError, alb};
use telecom_console::{Settings, handler};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    shared::telemetry::init();
    alb::run(handler(&Settings::from_env()?)?).await
}
