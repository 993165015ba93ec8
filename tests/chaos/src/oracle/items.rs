//! Items change their status only as allowed, and usage is charged to an item as long as its user
//! has one.

use std::collections::HashMap;

use anyhow::Result;
use chrono::{DateTime, Utc};
use sqlx::FromRow;
use uuid::Uuid;

use super::moves::{Life, Move, UNSEEN, lives};
use crate::run::Run;

/// Usage that was charged to no item.
#[derive(Debug, FromRow)]
struct Unpaid {
    user_id: Uuid,
    bytes: i64,
    started_at: DateTime<Utc>,
    committed_at: DateTime<Utc>,
}

/// Compares the audit with the rules.
pub async fn check(run: &Run, moves: &[Move]) -> Result<()> {
    check_moves(run, moves);
    check_unpaid(run, &lives(moves)).await
}

fn check_moves(run: &Run, moves: &[Move]) {
    for step in moves.iter().filter(|step| step.is_step()) {
        let known = matches!(
            (step.previous.as_deref(), step.status.as_str()),
            (None, "in_queue")
                | (Some("in_queue"), "active" | "cancelled" | "deleted")
                | (Some("active"), "consumed" | "cancelled")
        );
        if !known {
            run.finding("an item moves as none may", || format!("{step:?}"));
        }
    }
}

/// Usage must not be charged to no item if one of the user's items was active or waiting during the
/// whole transaction.
async fn check_unpaid(run: &Run, lives: &HashMap<Uuid, Vec<Life>>) -> Result<()> {
    let unpaid: Vec<Unpaid> = run
        .operator
        .until_done(async |connection| {
            sqlx::query_as(
                "select user_id, bytes, started_at, pg_xact_commit_timestamp(xid) as committed_at \
                 from chaos.unpaid",
            )
            .fetch_all(connection)
            .await
        })
        .await?;
    for charge in unpaid.iter().filter(|charge| charge.bytes > 0) {
        let alive = |life: &&Life| {
            life.from + UNSEEN < charge.started_at
                && life.until.is_none_or(|until| until > charge.committed_at)
        };
        if let Some(life) = lives
            .get(&charge.user_id)
            .and_then(|lives| lives.iter().find(alive))
        {
            let bytes = u64::try_from(charge.bytes).unwrap_or_default();
            run.findings_of("bytes charged to no item", bytes, || {
                format!("{charge:?} although there is {life:?}")
            });
        } else {
            run.count("charges of users without an item");
        }
    }
    Ok(())
}
