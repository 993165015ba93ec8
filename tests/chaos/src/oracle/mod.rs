//! Computes the expected value of every number from what was sent. It shares no code with the
//! system.

mod items;
mod money;
mod remains;
mod reports;

use anyhow::Result;

use crate::run::Run;

/// Compares the database and the bus with the books.
pub async fn check(run: &Run) -> Result<()> {
    let recorded = reports::Recorded::load(run).await?;
    reports::check(run, &recorded);
    money::check(run, &recorded).await?;
    items::check(run).await?;
    remains::check(run).await
}

fn amount(count: impl TryInto<u64>) -> u64 {
    count.try_into().unwrap_or(u64::MAX)
}
