//! Runs one function as a process that `telecom-chaos` invokes.

use anyhow::Context as _;

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let function = std::env::args()
        .nth(1)
        .context("Usage: telecom-chaos-worker <function>")?;
    telecom_chaos::work(&function).await
}
