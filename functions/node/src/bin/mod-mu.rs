//! `/mod_mu/…`: nodes of SSPanel.

use shared::lambda::BoxError;
use shared::lambda::node::{self, ModMu};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    node::run::<ModMu>().await
}
