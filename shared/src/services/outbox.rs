//! The outbox as services use it. Messages are collected, written in the transaction, and sent
//! right after the commit.

use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgPool;
use uuid::Uuid;

use crate::app::{App, FromApp, StartError};
use crate::clock::Context;
use crate::db::outbox;
use crate::db::{self, Connection};
use crate::deadline;
use crate::error::Error;
use crate::events::facts::{self, Fact, FactDetail};
use crate::events::outbox::{Destination, OutboxMessage};
use crate::events::package_expiring::{ExpiryReason, PackageExpiringEvent};
use crate::events::publisher::Publisher;
use crate::events::user_usage_billing::{BillingBatch, UserUsageBillingEvent};
use crate::telemetry::{self, Cause};

/// How long the writer of a message has to send it before the sweep may send it.
pub const LEASE: TimeDelta = TimeDelta::seconds(60);
/// Time reserved for the response after sending is given up.
const RESPONSE_MARGIN: Duration = Duration::from_millis(250);

/// Messages that a transaction writes.
#[derive(Debug)]
pub struct Outbox<'c> {
    context: &'c Context,
    now: DateTime<Utc>,
    lease: TimeDelta,
    trace: Option<String>,
    messages: Vec<OutboxMessage>,
}

impl<'c> Outbox<'c> {
    /// Creates an empty outbox whose messages the writer sends after the commit.
    #[must_use]
    pub fn new(context: &'c Context, now: DateTime<Utc>) -> Self {
        Self {
            context,
            now,
            lease: LEASE,
            trace: Cause::current().and_then(|cause| cause.header()),
            messages: Vec::new(),
        }
    }

    /// Creates an empty outbox whose messages the sweep may send at once. For a writer that has no
    /// access to the queues.
    #[must_use]
    pub fn for_the_sweep(context: &'c Context, now: DateTime<Utc>) -> Self {
        Self {
            lease: TimeDelta::zero(),
            ..Self::new(context, now)
        }
    }

    /// Time of the messages.
    #[must_use]
    pub fn now(&self) -> DateTime<Utc> {
        self.now
    }

    fn next_id(&self) -> Uuid {
        self.context.ids.next_id()
    }

    /// Builds a message for a queue. `id` is the id that the body contains.
    fn message(&self, id: Uuid, destination: Destination, body: String) -> OutboxMessage {
        OutboxMessage {
            id,
            destination,
            detail_type: None,
            body,
            trace: self.trace.clone(),
        }
    }

    /// Adds a [`PackageExpiringEvent`] with a new event id.
    pub fn package_expiring(
        &mut self,
        package_queue_id: i64,
        user: Uuid,
        reason: ExpiryReason,
    ) -> Result<(), Error> {
        let event_id = self.next_id();
        let event = PackageExpiringEvent {
            event_id,
            package_queue_id,
            user,
            reason,
            time: self.now,
        };
        let body = serde_json::to_string(&event).map_err(Error::internal)?;
        self.messages
            .push(self.message(event_id, Destination::PackageExpiring, body));
        Ok(())
    }

    /// Adds a fact for the event bus.
    pub fn fact(&mut self, fact: &Fact) -> Result<(), Error> {
        let event_id = self.next_id();
        let detail = FactDetail {
            event_id,
            version: facts::VERSION,
            time: self.now,
            fact,
        };
        let message = OutboxMessage {
            id: event_id,
            destination: Destination::EventBus,
            detail_type: Some(fact.detail_type().to_owned()),
            body: serde_json::to_string(&detail).map_err(Error::internal)?,
            trace: self.trace.clone(),
        };
        self.messages.push(message);
        Ok(())
    }

    /// Writes batches of billing events in `tx`. The database stores a batch while the next one is
    /// built.
    pub async fn write_billing(
        &self,
        tx: &mut Connection,
        billing_run_id: Uuid,
        batches: impl Iterator<Item = &[UserUsageBillingEvent]>,
    ) -> Result<Vec<OutboxMessage>, Error> {
        let messages = batches.map(|events| {
            let batch = BillingBatch {
                batch_id: self.next_id(),
                billing_run_id: Some(billing_run_id),
                events: events.into(),
            };
            let body = serde_json::to_string(&batch).map_err(Error::internal)?;
            Ok(self.message(batch.batch_id, Destination::UserUsageBilling, body))
        });
        outbox::insert(tx, messages, self.now, self.now + self.lease).await
    }

    /// Writes the collected messages in `tx` and returns them.
    pub async fn write(self, tx: &mut Connection) -> Result<Vec<OutboxMessage>, Error> {
        if self.messages.is_empty() {
            return Ok(self.messages);
        }
        outbox::insert(
            tx,
            self.messages.into_iter().map(Ok),
            self.now,
            self.now + self.lease,
        )
        .await
    }
}

/// Runs transactions that publish messages about what they changed.
#[derive(Debug, Clone)]
pub struct Transactions {
    pool: PgPool,
    publisher: Publisher,
    context: Context,
}

impl Transactions {
    /// Transactions on a database. `publisher` must reach the destinations of their messages.
    #[must_use]
    pub fn new(pool: PgPool, publisher: Publisher, context: Context) -> Self {
        Self {
            pool,
            publisher,
            context,
        }
    }

    /// Runs `work` as [`db::write_tx`] does, and sends the messages of its outbox after the commit.
    pub async fn run<T>(
        &self,
        name: &'static str,
        work: impl AsyncFnOnce(&mut Connection, &mut Outbox<'_>) -> Result<T, Error> + Clone,
    ) -> Result<T, Error> {
        let (output, messages) = db::write_tx(&self.pool, name, async |tx| {
            let mut outbox = Outbox::new(&self.context, self.context.now());
            let output = work(tx, &mut outbox).await?;
            Ok((output, outbox.write(tx).await?))
        })
        .await?;
        send(&self.pool, &self.publisher, messages).await;
        Ok(output)
    }
}

#[async_trait]
impl FromApp for Transactions {
    async fn from_app(app: &App) -> Result<Self, StartError> {
        let (pool, publisher) = (app.database()?, app.publisher().await);
        Ok(Self::new(pool, publisher, app.context()))
    }
}

/// Sends committed messages and deletes the sent ones from the outbox. Messages that cannot be
/// sent, or not before the deadline, stay for the sweep. That is logged and not returned as an
/// error, because the caller's work is committed and must not count as failed.
pub async fn send(pool: &PgPool, publisher: &Publisher, messages: Vec<OutboxMessage>) -> Sent {
    let unsent = Sent {
        sent: 0,
        failed: messages.len(),
    };
    if messages.is_empty() {
        return unsent;
    }
    let work = send_and_remove(pool, publisher, messages);
    let sent = match deadline::left() {
        None => work.await,
        Some(left) => tokio::time::timeout(left.saturating_sub(RESPONSE_MARGIN), work)
            .await
            .unwrap_or_else(|_| {
                tracing::warn!(
                    messages = unsent.failed,
                    "no time left to send messages; the sweep will send them"
                );
                unsent
            }),
    };
    telemetry::count("OutboxMessagesSent", sent.sent);
    telemetry::count("OutboxMessagesFailed", sent.failed);
    sent
}

async fn send_and_remove(
    pool: &PgPool,
    publisher: &Publisher,
    messages: Vec<OutboxMessage>,
) -> Sent {
    let outcome = publisher.publish(messages).await;
    let sent = Sent {
        sent: outcome.sent.len(),
        failed: outcome.failed.len(),
    };
    if let Some((id, error)) = outcome.failed.first() {
        tracing::warn!(failed = sent.failed, first = %id, error,
            "messages could not be sent; the sweep will send them");
    }
    if let Err(error) = remove(pool, &outcome.sent, &outcome.failed).await {
        // The sent messages stay in the outbox. The sweep sends them again, and consumers ignore
        // duplicates.
        tracing::warn!(error = %error, cause = error.cause(),
            "sent messages could not be removed from the outbox");
    }
    sent
}

async fn remove(pool: &PgPool, sent: &[Uuid], failed: &[(Uuid, String)]) -> Result<(), Error> {
    db::on_connection(pool, async |connection| {
        outbox::delete(connection, sent).await?;
        if !failed.is_empty() {
            outbox::record_failures(connection, failed).await?;
        }
        Ok(())
    })
    .await
}

/// Result of sending messages.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Sent {
    /// Number of messages sent.
    pub sent: usize,
    /// Number of messages that stay for the sweep.
    pub failed: usize,
}
