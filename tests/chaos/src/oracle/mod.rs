//! What every number must be, computed from what was sent. It shares no code with the system.

mod items;
mod money;
mod remains;

use anyhow::Result;

use crate::run::Run;

/// Compares the database and the bus with the books.
pub async fn check(run: &Run) -> Result<()> {
    money::check(run).await?;
    items::check(run).await?;
    remains::check(run).await
}
