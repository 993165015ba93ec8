//! Records the runs of scheduled jobs, so that an operator sees when each job ran and what it did.
//!
//! A record never makes a job fail, and delays it by at most two seconds. If the database refuses
//! a record, a warning is logged.

use std::time::Duration;

use async_trait::async_trait;
use chrono::TimeDelta;
use serde_json::Value;
use sqlx::PgPool;

use crate::app::{App, FromApp, StartError};
use crate::clock::Context;
use crate::db::job_run::{self, Ended, Started};
use crate::db::{self, Connection};
use crate::deadline;
use crate::domain::job_run::{JobName, JobOutcome};
use crate::error::Error;

/// Maximum time that each of the two records of a run may take.
const MAX_DELAY: Duration = Duration::from_secs(2);

/// Records the runs of scheduled jobs.
#[derive(Debug, Clone)]
pub struct JobRuns {
    pool: PgPool,
    context: Context,
}

#[async_trait]
impl FromApp for JobRuns {
    async fn from_app(app: &App) -> Result<Self, StartError> {
        Ok(Self::new(app.database()?, app.context()))
    }
}

impl JobRuns {
    /// Records runs in the database of `pool`.
    #[must_use]
    pub fn new(pool: PgPool, context: Context) -> Self {
        Self { pool, context }
    }

    /// Records that a run starts, which must end within `time`. `request_id` is the id of its
    /// invocation.
    pub async fn start(
        &self,
        job: JobName,
        request_id: Option<String>,
        time: Option<Duration>,
    ) -> Started {
        let started_at = self.context.now();
        let time = time.and_then(|time| TimeDelta::from_std(time).ok());
        let started = Started {
            id: self.context.ids.next_id(),
            job,
            request_id,
            started_at,
            deadline_at: time.and_then(|time| started_at.checked_add_signed(time)),
        };
        self.record("start", async |connection| {
            job_run::start(connection, &started).await
        })
        .await;
        started
    }

    /// Records how a run ended: with its report, or with an error.
    pub async fn end(&self, started: &Started, result: Result<&Value, &Error>) {
        let report = result.ok();
        let field = |name: &str| report?.get(name);
        let outcome = match field("complete") {
            _ if report.is_none() => JobOutcome::Failed,
            Some(Value::Bool(false)) => JobOutcome::Incomplete,
            // A job without this field always completes its work.
            _ => JobOutcome::Completed,
        };
        let ended = Ended {
            ended_at: self.context.now(),
            outcome,
            error_code: result.err().map(Error::code),
            counts: report.filter(|report| report.is_object()).cloned(),
            lag_seconds: field("lag_seconds").and_then(Value::as_i64),
        };
        self.record("end", async |connection| {
            job_run::end(connection, started, &ended).await
        })
        .await;
    }

    async fn record(
        &self,
        what: &'static str,
        write: impl AsyncFnOnce(&mut Connection) -> Result<(), Error>,
    ) {
        let written = deadline::within(Some(MAX_DELAY), db::on_connection(&self.pool, write));
        if let Err(error) = written.await {
            tracing::warn!(%error, cause = error.cause(), what, "cannot record a run");
        }
    }
}
