//! The decisions. Every service is a struct that owns what it needs and is a [`Processor`] of each
//! input it takes; none of them knows a transport.

pub mod analysis;
pub mod billing;
mod charge;
pub mod cron;
mod dispatch;
mod idempotency;
pub mod ingest;
pub mod manage;
pub mod migrate;
pub mod outbox;
pub mod package_expiring;

pub use dispatch::dispatch;

use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::auth::Access;
use crate::error::Error;

/// Does one thing: takes an input, answers an output or an error.
///
/// The future is boxed, so that a processor is compiled once, here, and not again in every function
/// that runs it: that is most of a function's build time, for one allocation an invocation.
#[async_trait]
pub trait Processor<Input> {
    /// What comes of it.
    type Output;

    /// Does it.
    async fn process(&self, input: Input) -> Result<Self::Output, Error>;
}

/// The input of an operation that callers ask for: what it is called, and who may.
pub trait Operation {
    /// The name of the RPC, in logs as well.
    const NAME: &'static str;
    /// Who may ask for it.
    const ACCESS: Access;

    /// Who may ask for this one.
    fn access(&self) -> Access {
        Self::ACCESS
    }
}

/// Messages of one delivery, in order.
pub type Batch<T> = Vec<Arc<T>>;

/// What came of each message of a [`Batch`], in the same order. An error of the whole batch is
/// returned instead of this, and then nothing of the batch took effect.
pub type Outcomes = Vec<Result<(), Error>>;

/// What the queue says of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// The queue's id of it: a key where the body brings none.
    pub message_id: Uuid,
    /// When it was sent. `None` if the queue does not say.
    pub sent_at: Option<DateTime<Utc>>,
    /// The principal that sent it (`SenderId`): the id of a user, or of a role with its session.
    /// `None` if the queue does not say.
    pub sender_id: Option<String>,
}

/// Consumes a queue: bodies are read one by one, what could be read is processed together.
pub trait Consumer: Processor<Batch<Self::Message>, Output = Outcomes> {
    /// A body, read and checked.
    type Message: Send + Sync;

    /// Reads and checks a body.
    fn parse(&self, received: &Received, body: &str) -> Result<Self::Message, Error>;
}
