//! Records why messages failed. SQS moves a message that keeps failing to the dead-letter queue and
//! does not keep the reason.
//!
//! A record never changes the result of a delivery. If the database refuses it, a warning is
//! logged, and the next attempt at the message records its reason.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use sqlx::PgPool;

use crate::app::{App, FromApp, StartError};
use crate::clock::Context;
use crate::db;
use crate::db::dead_letter::{self, RejectedMessage};
use crate::deadline;
use crate::domain::dead_letter::{MAX_REASON, Queue};
use crate::error::Error;

/// Maximum time that the record of a delivery may take.
const MAX_DELAY: Duration = Duration::from_secs(2);

/// Records why messages failed.
#[derive(Debug, Clone)]
pub struct RejectedMessages {
    pool: PgPool,
    context: Context,
}

#[async_trait]
impl FromApp for RejectedMessages {
    async fn from_app(app: &App) -> Result<Self, StartError> {
        Ok(Self::new(app.database()?, app.context()))
    }
}

impl RejectedMessages {
    /// Records failures in the database of `pool`.
    #[must_use]
    pub fn new(pool: PgPool, context: Context) -> Self {
        Self { pool, context }
    }

    /// Records the failed messages of a delivery by the ids of SQS, within `time`. Messages that an
    /// outage failed are left out, because they may well succeed later.
    pub async fn record(&self, queue: Queue, failed: &[(String, Error)], time: Option<Duration>) {
        let of_message = failed
            .iter()
            .filter(|(_, error)| error.may_come_from_one_item());
        let messages: BTreeMap<&str, RejectedMessage> = of_message
            .map(|(id, error)| (id.as_str(), rejected(id, error)))
            .collect();
        if messages.is_empty() {
            return;
        }
        let messages: Vec<RejectedMessage> = messages.into_values().collect();
        let time = time.map_or(MAX_DELAY, |time| time.min(MAX_DELAY));
        let written = deadline::within(
            Some(time),
            db::on_connection(&self.pool, async |connection| {
                dead_letter::insert(connection, queue, &messages, self.context.now()).await
            }),
        );
        if let Err(error) = written.await {
            tracing::warn!(%error, cause = error.cause(), "cannot record why messages failed");
        }
    }
}

/// What is stored of a failure. Neither the message of an error nor its cause contains text of the
/// body.
fn rejected(message_id: &str, error: &Error) -> RejectedMessage {
    let (text, cause) = (error.to_string(), error.cause());
    let text = text.strip_prefix(error.code()).unwrap_or(&text);
    let text = text.trim_start_matches([':', ' ']);
    let parts = [text, &cause].into_iter().filter(|part| !part.is_empty());
    let reason = parts.collect::<Vec<_>>().join(" Cause: ");
    RejectedMessage {
        message_id: message_id.to_owned(),
        error_code: error.code(),
        // The database stores no character 0.
        reason: reason.replace('\0', "").chars().take(MAX_REASON).collect(),
    }
}
