//! Computes the expected value of every number from what was sent and answered. It shares no code
//! with the system.

mod changes;
mod emptied;
mod explanations;
mod facts;
mod items;
mod money;
mod moves;
mod orders;
mod remains;
mod reports;
mod terms;

use anyhow::Result;
use serde_json::Value;

use crate::run::Run;

/// Compares the database and the bus with the books.
pub async fn check(run: &Run) -> Result<()> {
    let recorded = reports::Recorded::load(run).await?;
    reports::check(run, &recorded);
    money::check(run, &recorded).await?;
    explanations::check(run).await?;
    let moves = moves::load(run).await?;
    items::check(run, &moves).await?;
    facts::check(run, &moves);
    emptied::check(run, &moves);
    orders::check(run, &moves).await?;
    terms::check(run, &moves).await?;
    changes::check(run).await?;
    remains::check(run).await
}

fn amount(count: impl TryInto<u64>) -> u64 {
    count.try_into().unwrap_or(u64::MAX)
}

/// The text of a field. Empty if it is missing.
fn text(value: Option<&Value>) -> String {
    match value {
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
        None => String::new(),
    }
}
