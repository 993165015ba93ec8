//! `IngestNodeUsage`: records what node software and collectors reported over HTTPS, each push and
//! each report once.

mod pushes;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use sqlx::PgPool;

use super::record_usage::{Fleet, HashedReport, Recorded, record};
use crate::app::{App, FromApp, StartError};
use crate::clock::Context;
use crate::config::TelecomConfig;
use crate::db::{self, Connection};
use crate::domain::dead_letter::Queue;
use crate::domain::line_rate::LineRate;
use crate::error::Error;
use crate::events::node_usage::NodeUsage;
use crate::services::{Batch, Consumer, Outcomes, Processor, Received};
use crate::telemetry::Cause;
use pushes::{Pushes, Surroundings};

/// Records what nodes reported. Decides which pushes are repeats, and which are doubtful.
#[derive(Debug, Clone)]
pub struct IngestNodeUsage {
    pool: PgPool,
    context: Context,
    line_rate: LineRate,
}

impl IngestNodeUsage {
    /// A consumer with a database and the default line rate.
    #[must_use]
    pub fn new(pool: PgPool, context: Context) -> Self {
        Self {
            pool,
            context,
            line_rate: LineRate::default(),
        }
    }

    /// Applies the rules of a deployment.
    #[must_use]
    pub fn with_config(self, config: &TelecomConfig) -> Self {
        Self {
            line_rate: config.node_line_rate,
            ..self
        }
    }
}

#[async_trait]
impl FromApp for IngestNodeUsage {
    async fn from_app(app: &App) -> Result<Self, StartError> {
        Ok(Self::new(app.database()?, app.context()).with_config(&app.config()?))
    }
}

/// What a node reported, with the time at which the queue accepted it.
#[derive(Debug, Clone, PartialEq)]
pub struct ReceivedUsage {
    /// The parsed and validated body of the message.
    pub usage: NodeUsage,
    /// When the queue accepted the message. `None` if the queue did not provide it.
    pub sent_at: Option<DateTime<Utc>>,
    /// The request of the node. `None` if the message does not name it.
    pub cause: Option<Cause>,
}

impl Consumer for IngestNodeUsage {
    type Message = ReceivedUsage;
    const QUEUE: Queue = Queue::NodeUsage;

    fn parse(&self, received: &Received, body: &str) -> Result<ReceivedUsage, Error> {
        Ok(ReceivedUsage {
            usage: NodeUsage::parse(body)?,
            sent_at: received.sent_at,
            cause: received.cause.clone(),
        })
    }
}

#[async_trait]
impl Processor<Batch<ReceivedUsage>> for IngestNodeUsage {
    type Output = Outcomes;

    #[tracing::instrument(name = "ingest_node_usage", skip_all, fields(messages = messages.len()))]
    async fn process(&self, messages: Batch<ReceivedUsage>) -> Result<Outcomes, Error> {
        let messages: Vec<&ReceivedUsage> = messages.iter().map(AsRef::as_ref).collect();
        let work = async |tx: &mut Connection| self.record(tx, &messages).await;
        let done = db::write_tx(&self.pool, "ingest_node_usage", work).await?;
        done.recorded.log();
        done.found.log();
        Ok(done.outcomes)
    }
}

/// What a transaction did.
struct Done {
    outcomes: Outcomes,
    recorded: Recorded,
    found: pushes::Found,
}

impl IngestNodeUsage {
    async fn record(
        &self,
        tx: &mut Connection,
        messages: &[&ReceivedUsage],
    ) -> Result<Done, Error> {
        let servers = messages.iter().map(|message| message.usage.server_id);
        let around = Surroundings {
            fleet: &Fleet::read(tx, servers).await?,
            line_rate: self.line_rate,
            now: self.context.now(),
        };
        let mut pushes = Pushes::load(tx, messages).await?;
        let resolved = pushes.resolve(messages, around)?;
        let found = pushes.save(tx).await?;
        let (reports, checks): (Vec<HashedReport>, Outcomes) = resolved.into_iter().unzip();
        let reports: Vec<&HashedReport> = reports.iter().collect();
        let Surroundings {
            fleet,
            line_rate,
            now,
        } = around;
        let (checks, recorded) = record(tx, &reports, checks, fleet, line_rate, now).await?;
        Ok(Done {
            outcomes: recorded.outcomes(&reports, checks),
            recorded,
            found,
        })
    }
}
