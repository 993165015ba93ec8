//! The business logic. Every service is a struct that owns its dependencies and implements
//! [`Processor`] for each of its inputs. Services do not depend on a transport.

pub mod analysis;
pub mod change;
mod charge;
pub mod cron;
mod dispatch;
pub mod fleet_metrics;
mod idempotency;
pub mod manage;
pub mod migrate;
pub mod node;
mod order;
pub mod outbox;
mod package_queue;
pub mod queue;

pub use dispatch::dispatch;
/// The name that the specification gives to this module.
pub use queue::apply_user_usage_billing as billing;

use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::auth::Access;
use crate::config::DatabaseRole;
use crate::domain::condition::Accepts;
use crate::domain::dead_letter::Queue;
use crate::error::Error;
use crate::telemetry::Cause;

/// Processes one kind of input and returns an output or an error.
///
/// The future is boxed, so that a processor is compiled once, in this crate, and not again in every
/// function that runs it, where compiling it would take most of the build time. The cost is one
/// allocation per invocation.
#[async_trait]
pub trait Processor<Input> {
    /// Result of a successful call.
    type Output;

    /// Executes the operation, the job or the delivery that `input` describes.
    async fn process(&self, input: Input) -> Result<Self::Output, Error>;
}

/// Input of an operation that callers may invoke. Declares the name of the operation and the access
/// that it requires.
pub trait Operation {
    /// Name of the RPC. It is also used in logs.
    const NAME: &'static str;
    /// Access that every input of this type requires by default.
    const ACCESS: Access;
    /// Role that the operation's function assumes in the database.
    const DATABASE_ROLE: DatabaseRole = DatabaseRole::Reader;
    /// Conditions that a caller may or must send with the input.
    const ACCEPTS: Accepts = Accepts::Nothing;
    /// Whether the operation's function may read the keys that encrypt the secrets of webhooks.
    const USES_WEBHOOK_KEY: bool = false;

    /// Access that this input requires.
    fn access(&self) -> Access {
        Self::ACCESS
    }
}

/// Messages of one delivery, in order.
pub type Batch<T> = Vec<Arc<T>>;

/// Result of each message of a [`Batch`], in the same order. An error of the whole batch is
/// returned instead of outcomes, and then the batch had no effect.
pub type Outcomes = Vec<Result<(), Error>>;

/// Attributes that the queue provides with a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// The queue's id of the message. It serves as a key if the body contains none.
    pub message_id: Uuid,
    /// When the message was sent. `None` if the queue did not provide it.
    pub sent_at: Option<DateTime<Utc>>,
    /// The principal that sent the message (`SenderId`), which is the id of a user, or of a role
    /// with its session. `None` if the queue did not provide it.
    pub sender_id: Option<String>,
    /// What caused the message, as its sender says. `None` if it does not say.
    pub cause: Option<Cause>,
}

/// Consumes a queue. Bodies are parsed one by one, and the valid messages are processed together.
pub trait Consumer: Processor<Batch<Self::Message>, Output = Outcomes> {
    /// A parsed and validated body.
    type Message: Send + Sync;
    /// The queue that is consumed.
    const QUEUE: Queue;

    /// Parses and validates a body.
    fn parse(&self, received: &Received, body: &str) -> Result<Self::Message, Error>;
}
