//! The changes of items, as the audit recorded them.

use std::collections::HashMap;

use anyhow::Result;
use chrono::{DateTime, TimeDelta, Utc};
use sqlx::FromRow;
use uuid::Uuid;

use crate::run::Run;

/// How long a committed transaction may be invisible to others while it waits for the standby.
pub const UNSEEN: TimeDelta = TimeDelta::seconds(1);

/// A change of an item's status, quota or time.
#[derive(Debug, FromRow)]
pub struct Move {
    pub item_id: i64,
    pub user_id: Uuid,
    pub package_id: i64,
    pub by_order: Option<Uuid>,
    pub status: String,
    pub previous: Option<String>,
    /// Bytes that were added to the quota.
    pub bytes: Option<i64>,
    writer: String,
    pub xid: String,
    pub started_at: DateTime<Utc>,
    pub committed_at: DateTime<Utc>,
}

impl Move {
    /// Whether the status of the item changed.
    pub fn is_step(&self) -> bool {
        !["adjusted", "extended"].contains(&self.status.as_str())
    }

    /// Whether the item was added.
    pub fn is_new(&self) -> bool {
        self.is_step() && self.previous.is_none()
    }

    /// Whether the item ended.
    pub fn is_end(&self) -> bool {
        ["consumed", "cancelled", "deleted"].contains(&self.status.as_str())
    }

    /// Whether the operator made the change by SQL.
    pub fn is_by_hand(&self) -> bool {
        self.writer == "operator"
    }
}

/// Loads all changes in their order.
pub async fn load(run: &Run) -> Result<Vec<Move>> {
    run.operator
        .until_done(async |connection| {
            sqlx::query_as(
                "select item_id, user_id, package_id, by_order, status, previous, bytes,
                writer, xid::text as xid, started_at,
                pg_xact_commit_timestamp(xid) as committed_at
                 from chaos.item_event order by seq",
            )
            .fetch_all(connection)
            .await
        })
        .await
}

/// The time during which an item was active or waiting.
#[derive(Debug)]
pub struct Life {
    pub item: i64,
    pub from: DateTime<Utc>,
    pub until: Option<DateTime<Utc>>,
}

/// The lives of each user's items.
pub fn lives(moves: &[Move]) -> HashMap<Uuid, Vec<Life>> {
    let mut lives: HashMap<Uuid, Vec<Life>> = HashMap::new();
    for step in moves {
        let of_user = lives.entry(step.user_id).or_default();
        match step.status.as_str() {
            "in_queue" => of_user.push(Life {
                item: step.item_id,
                from: step.committed_at,
                until: None,
            }),
            "consumed" | "cancelled" | "deleted" => {
                for life in of_user.iter_mut().filter(|life| life.item == step.item_id) {
                    life.until = Some(step.committed_at);
                }
            }
            _ => {}
        }
    }
    lives
}
