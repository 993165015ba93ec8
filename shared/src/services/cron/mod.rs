//! `TelecomCronExecutor`: the scheduled jobs, a [`Processor`](super::Processor) each.
//!
//! A job that runs twice, at once or late does no harm, works in bounded batches, stops before its deadline and
//! says how far it came.

pub mod bill_traffic;
pub mod maintain_storage;
pub mod package_expiring;
pub mod record_node_status_history;
pub mod refresh_node_status_view;
pub mod refresh_server_status;
pub mod sweep_outbox;

use std::time::{Duration, Instant};

use async_trait::async_trait;
use sqlx::PgPool;

use crate::app::{App, FromApp, StartError};
use crate::clock::Context;
use crate::config::TelecomConfig;
use crate::events::publisher::Publisher;

/// One run of a job: until when it may work.
#[derive(Debug, Clone, Copy, Default)]
pub struct Run {
    deadline: Option<Instant>,
}

impl Run {
    /// What a step of a job takes at most, and what is left for saying how far it came.
    const MARGIN: Duration = Duration::from_secs(5);

    /// A run that ends after `time`; none: it may take as long as it needs.
    #[must_use]
    pub fn within(time: Option<Duration>) -> Self {
        Self { deadline: time.and_then(|time| Instant::now().checked_add(time.saturating_sub(Self::MARGIN))) }
    }

    /// Whether another step might not finish in time.
    #[must_use]
    pub fn deadline_is_near(&self) -> bool {
        self.deadline.is_some_and(|deadline| Instant::now() >= deadline)
    }
}

/// Runs the jobs.
#[derive(Debug, Clone)]
pub struct TelecomCronExecutor {
    pool: PgPool,
    publisher: Publisher,
    context: Context,
    config: TelecomConfig,
}

impl TelecomCronExecutor {
    /// Over a database and a publisher that reaches what the job sends to.
    #[must_use]
    pub fn new(pool: PgPool, publisher: Publisher, context: Context, config: TelecomConfig) -> Self {
        Self { pool, publisher, context, config }
    }
}

#[async_trait]
impl FromApp for TelecomCronExecutor {
    async fn from_app(app: &App) -> Result<Self, StartError> {
        Ok(Self::new(app.database()?, app.publisher().await, app.context(), app.config()?))
    }
}
