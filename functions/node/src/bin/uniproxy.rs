//! `/api/v1/server/UniProxy/…` and `/api/v2/server/…`: nodes of V2board and Xboard.

use shared::lambda::BoxError;
use shared::lambda::node::{self, Uniproxy};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    node::run::<Uniproxy>().await
}
