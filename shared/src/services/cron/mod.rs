//! `TelecomCronExecutor`: the scheduled jobs, a [`Processor`](super::Processor) each.
//!
//! A job that runs twice, at once or late does no harm, works in bounded batches, stops before its
//! deadline and says how far it came.

pub mod bill_traffic;
pub mod maintain_storage;
pub mod package_expiring;
mod parked_events;
pub mod reconcile_usage;
pub mod record_node_status_history;
pub mod refresh_node_status_view;
pub mod refresh_server_status;
pub mod sweep_outbox;

use std::time::{Duration, Instant};

use async_trait::async_trait;
use backon::{ExponentialBuilder, Retryable};
use sqlx::PgPool;

use crate::app::{App, FromApp, StartError};
use crate::clock::Context;
use crate::config::TelecomConfig;
use crate::deadline;
use crate::error::{Error, ErrorKind};
use crate::events::publisher::Publisher;

/// How often a job is tried again in one run.
const MOST_RETRIES: usize = 12;

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
        Self {
            deadline: time
                .and_then(|time| Instant::now().checked_add(time.saturating_sub(Self::MARGIN))),
        }
    }

    /// Does `work` again while the database is out of reach or busy, after a pause that grows,
    /// until the deadline is near: for a job whose next run does not make up for this one.
    pub async fn retry_outages<T, F, Fut>(self, name: &'static str, work: F) -> Result<T, Error>
    where
        F: FnMut() -> Fut,
        Fut: Future<Output = Result<T, Error>>,
    {
        let backoff = ExponentialBuilder::default()
            .with_min_delay(Duration::from_millis(250))
            .with_max_delay(Duration::from_secs(4))
            .with_max_times(MOST_RETRIES);
        work.retry(backoff)
            .when(|error| error.kind() == ErrorKind::Unavailable && !self.deadline_is_near())
            .notify(|error, after| {
                tracing::warn!(job = name, cause = error.cause(), ?after, "job retried")
            })
            .await
    }

    /// Does a step in at most a third of the time that is left, or gives it up: a smaller step may
    /// follow.
    pub async fn at_most_a_third<T>(
        &self,
        step: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        deadline::within(
            self.deadline
                .map(|deadline| deadline.saturating_duration_since(Instant::now()) / 3),
            step,
        )
        .await
    }

    /// Whether so much time is left.
    #[must_use]
    pub fn has_time_for(&self, time: Duration) -> bool {
        self.deadline
            .is_none_or(|deadline| Instant::now() + time < deadline)
    }

    /// The first half of the time that is left: for work that must leave time for other work.
    #[must_use]
    pub fn first_half(&self) -> Self {
        let now = Instant::now();
        Self {
            deadline: self
                .deadline
                .map(|deadline| now + deadline.saturating_duration_since(now) / 2),
        }
    }

    /// Whether another step might not finish in time.
    #[must_use]
    pub fn deadline_is_near(&self) -> bool {
        self.deadline
            .is_some_and(|deadline| Instant::now() >= deadline)
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
    pub fn new(
        pool: PgPool,
        publisher: Publisher,
        context: Context,
        config: TelecomConfig,
    ) -> Self {
        Self {
            pool,
            publisher,
            context,
            config,
        }
    }
}

#[async_trait]
impl FromApp for TelecomCronExecutor {
    async fn from_app(app: &App) -> Result<Self, StartError> {
        Ok(Self::new(
            app.database()?,
            app.publisher().await,
            app.context(),
            app.config()?,
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How often work is tried that fails so often.
    async fn tries(run: Run, failures: usize, error: fn() -> Error) -> usize {
        let mut tries = 0;
        let work = || {
            tries += 1;
            std::future::ready(if tries <= failures {
                Err(error())
            } else {
                Ok(())
            })
        };
        let _ = run.retry_outages("a job", work).await;
        tries
    }

    #[tokio::test]
    async fn a_job_is_tried_again_after_an_outage_but_not_when_the_deadline_is_near() {
        let outage = || Error::unavailable("unreachable");
        assert_eq!(tries(Run::default(), 1, outage).await, 2);
        assert_eq!(tries(Run::within(Some(Duration::ZERO)), 1, outage).await, 1);
        assert_eq!(
            tries(Run::default(), 1, || Error::internal("a bug")).await,
            1
        );
    }
}
