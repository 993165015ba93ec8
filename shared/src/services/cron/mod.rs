//! `TelecomCronExecutor`: the scheduled jobs. It implements [`Processor`](super::Processor) for
//! each of them.
//!
//! A job may run twice, concurrently or late without harm. It works in bounded batches, stops
//! before its deadline and returns how far it got.

pub mod apply_package_extensions;
pub mod bill_traffic;
pub mod deliver_webhooks;
pub mod expire_packages;
pub mod maintain_storage;

mod expiry_notices;
pub mod job_runs;
mod parked_events;
pub mod reconcile_usage;
pub mod record_node_status_history;
pub mod refresh_node_status_view;
pub mod refresh_server_status;
pub mod summarize_usage;
pub mod sweep_outbox;

use std::time::{Duration, Instant};

use async_trait::async_trait;
use backon::{ExponentialBuilder, Retryable};
use sqlx::PgPool;

use crate::app::{App, FromApp, StartError};
use crate::clock::Context;
use crate::config::TelecomConfig;
use crate::deadline;
use crate::domain::job_run::JobName;
use crate::error::{Error, ErrorKind};
use crate::events::publisher::Publisher;

/// Maximum number of retries in one run of a job.
const MAX_RETRIES: usize = 12;

/// One run of a job, with an optional deadline.
#[derive(Debug, Clone, Copy, Default)]
pub struct Run {
    deadline: Option<Instant>,
    interval: Option<Duration>,
}

impl Run {
    /// Time before the deadline in which no step is started. It must suffice for the last step and
    /// for returning the result.
    const MARGIN: Duration = Duration::from_secs(5);

    /// Creates a run that must end within `time`. There is no limit if `time` is `None`.
    #[must_use]
    pub fn within(time: Option<Duration>) -> Self {
        Self {
            deadline: time
                .and_then(|time| Instant::now().checked_add(time.saturating_sub(Self::MARGIN))),
            interval: None,
        }
    }

    /// The same run, which repeats its work at an interval until its deadline, if the job can do
    /// so. For work that is urgent to less than a minute, the shortest interval of a schedule.
    #[must_use]
    pub fn repeating(self, interval: Option<Duration>) -> Self {
        Self { interval, ..self }
    }

    /// Waits until the round that follows the one that `began`. Returns `false` at once if the run
    /// does not repeat its work, or if that round would begin after the deadline.
    pub async fn next_round(&self, began: Instant) -> bool {
        let (Some(interval), Some(deadline)) = (self.interval, self.deadline) else {
            return false;
        };
        let Some(next) = began.checked_add(interval).filter(|next| *next < deadline) else {
            return false;
        };
        tokio::time::sleep_until(next.into()).await;
        true
    }

    /// Retries `work` with exponential backoff while the database is unavailable, until the
    /// deadline is near. For a job whose next run does not make up for this run.
    pub async fn retry_outages<T, F, Fut>(self, name: &'static str, work: F) -> Result<T, Error>
    where
        F: FnMut() -> Fut,
        Fut: Future<Output = Result<T, Error>>,
    {
        let backoff = ExponentialBuilder::default()
            .with_min_delay(Duration::from_millis(250))
            .with_max_delay(Duration::from_secs(4))
            .with_max_times(MAX_RETRIES);
        work.retry(backoff)
            .when(|error| error.kind() == ErrorKind::Unavailable && !self.deadline_is_near())
            .notify(|error, after| {
                tracing::warn!(job = name, cause = error.cause(), ?after, "job retried");
            })
            .await
    }

    /// Cancels a step that takes more than a third of the time that is left, so that a smaller step
    /// may follow.
    pub async fn within_a_third<T>(
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

    /// Whether at least `time` is left.
    #[must_use]
    pub fn has_time_for(&self, time: Duration) -> bool {
        self.deadline
            .is_none_or(|deadline| Instant::now() + time < deadline)
    }

    /// Returns a run for the first half of the time that is left. For work that must leave time for
    /// other work.
    #[must_use]
    pub fn first_half(&self) -> Self {
        let now = Instant::now();
        Self {
            deadline: self
                .deadline
                .map(|deadline| now + deadline.saturating_duration_since(now) / 2),
            ..*self
        }
    }

    /// Whether another step may not finish in time.
    #[must_use]
    pub fn deadline_is_near(&self) -> bool {
        self.deadline
            .is_some_and(|deadline| Instant::now() >= deadline)
    }
}

/// Input of a scheduled job. Its runs are recorded under the name of the job.
///
/// If the report of a run has a field `complete` that is false, the run left work to the next one.
/// If it has a field `lag_seconds`, this is the age of the oldest work that was left.
pub trait Job {
    /// Name of the job.
    const NAME: JobName;
}

/// Processes the inputs of all scheduled jobs.
#[derive(Debug, Clone)]
pub struct TelecomCronExecutor {
    pool: PgPool,
    publisher: Publisher,
    context: Context,
    config: TelecomConfig,
}

impl TelecomCronExecutor {
    /// Creates the executor. `publisher` must be able to send to the destinations of the job.
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

    /// Number of attempts at work whose first `failures` attempts fail.
    async fn attempts(run: Run, failures: usize, error: fn() -> Error) -> usize {
        let mut attempts = 0;
        let work = || {
            attempts += 1;
            std::future::ready(if attempts <= failures {
                Err(error())
            } else {
                Ok(())
            })
        };
        let _ = run.retry_outages("a job", work).await;
        attempts
    }

    #[tokio::test(start_paused = true)]
    async fn a_repeating_run_has_rounds_until_its_deadline() {
        let rounds = async |run: Run| {
            let mut rounds = 1;
            let mut began = Instant::now();
            while run.next_round(began).await {
                began += Duration::from_secs(10);
                rounds += 1;
            }
            rounds
        };
        let minute = Run::within(Some(Duration::from_mins(1)));
        let every = Some(Duration::from_secs(10));
        assert_eq!(rounds(minute.repeating(every)).await, 6);
        assert_eq!(rounds(minute).await, 1);
        assert_eq!(rounds(Run::default().repeating(every)).await, 1);
    }

    #[tokio::test]
    async fn a_job_is_retried_after_an_outage_unless_the_deadline_is_near() {
        let outage = || Error::unavailable("unreachable");
        assert_eq!(attempts(Run::default(), 1, outage).await, 2);
        assert_eq!(
            attempts(Run::within(Some(Duration::ZERO)), 1, outage).await,
            1
        );
        assert_eq!(
            attempts(Run::default(), 1, || Error::internal("a bug")).await,
            1
        );
    }
}
