//! `RetryParkedEvents`: makes the billing job retry parked usage in its next run.

use std::collections::BTreeMap;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::auth::Access;
use crate::config::DatabaseRole;
use crate::db::Connection;
use crate::db::parked_event::{self, Waiting};
use crate::domain::audit::Target;
use crate::domain::condition::Accepts;
use crate::domain::parked_usage::{MAX_RETRIED, Retry, Selection};
use crate::domain::reason;
use crate::error::Error;
use crate::services::Operation;
use crate::services::change::{Change, Work};

/// Makes parked events due, at most [`MAX_RETRIED`]. Events that are due already, that are being
/// retried, or that have been charged are left alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RetryParkedEvents {
    /// The events to retry.
    pub selection: Selection,
    /// Reason in the administrator's words, for the audit log.
    pub reason: String,
}

impl Operation for RetryParkedEvents {
    const NAME: &'static str = "RetryParkedEvents";
    const ACCESS: Access = Access::Admin;
    const DATABASE_ROLE: DatabaseRole = DatabaseRole::Api;
    const ACCEPTS: Accepts = Accepts::RequiredIdempotencyKey;
}

/// What a call retries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RetriedEvents {
    /// Number of events that waited for a later retry and are now retried by the next run of the
    /// billing job.
    pub retried: i64,
    /// Whether further selected events wait for a later retry, because there are more than one call
    /// retries.
    pub more: bool,
}

/// The audited fields of the retried events of one user.
#[derive(Debug, Serialize)]
struct Events {
    events: Vec<Retry>,
}

#[async_trait]
impl Change for RetryParkedEvents {
    type Output = RetriedEvents;

    fn checked(self) -> Result<Self, Error> {
        let reason = reason(&self.reason)?;
        Ok(Self { reason, ..self })
    }

    async fn apply(
        &self,
        tx: &mut Connection,
        work: &mut Work<'_>,
    ) -> Result<RetriedEvents, Error> {
        let mut waiting = self.lock(tx, work.now).await?;
        let more = waiting.len() > MAX_RETRIED;
        waiting.truncate(MAX_RETRIED);
        parked_event::retry_at(tx, &waiting, work.now).await?;
        for (user, events) in by_user(&waiting) {
            let due = events.iter().map(|event| Retry {
                retry_at: work.now,
                ..*event
            });
            let after = Events {
                events: due.collect(),
            };
            let target = Target::ParkedUsage(user);
            work.changed(target, &Events { events }, &after, Some(&self.reason))?;
        }
        Ok(RetriedEvents {
            retried: i64::try_from(waiting.len()).map_err(Error::internal)?,
            more,
        })
    }
}

impl RetryParkedEvents {
    /// Locks the selected events that wait for a later retry, at most one more than are retried.
    async fn lock(&self, tx: &mut Connection, now: DateTime<Utc>) -> Result<Vec<Waiting>, Error> {
        let limit = i64::try_from(MAX_RETRIED).map_err(Error::internal)? + 1;
        match &self.selection {
            Selection::Ids(ids) => parked_event::lock_waiting(tx, ids, now).await,
            Selection::User(user) => {
                parked_event::lock_waiting_of_user(tx, *user, now, limit).await
            }
            Selection::All => parked_event::lock_all_waiting(tx, now, limit).await,
        }
    }
}

fn by_user(waiting: &[Waiting]) -> BTreeMap<Uuid, Vec<Retry>> {
    let mut users: BTreeMap<Uuid, Vec<Retry>> = BTreeMap::new();
    for event in waiting {
        let retry = Retry {
            id: event.id,
            retry_at: event.retry_at,
        };
        users.entry(event.user_id).or_default().push(retry);
    }
    users
}
