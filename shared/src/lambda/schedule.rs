//! Functions that EventBridge Scheduler or an operator invokes. A job runs until the deadline of
//! the invocation at most.
//!
//! If the payload has `repeat_seconds`, a job that can repeats its work at that interval. Anything
//! else in the payload is ignored.

use std::time::Duration;

use async_trait::async_trait;
use lambda_runtime::LambdaEvent;
use serde::Serialize;
use serde_json::Value;

use super::{BoxError, caught, log_error, serve, time_left};
use crate::app::{App, FromApp, StartError};
use crate::error::Error;
use crate::services::Processor;
use crate::services::cron::job_runs::JobRuns;
use crate::services::cron::{Job, Run};
use crate::telemetry;

/// Runs a job at each invocation. Its report is logged and returned, and each run is recorded.
pub async fn run<S, J>(job: fn(Run) -> J) -> Result<(), BoxError>
where
    S: FromApp + Processor<J> + Sync + Send,
    S::Output: Serialize,
    J: Job,
{
    serve(async |recorded: &Recorded<S>, event: LambdaEvent<Value>| {
        invoke(&recorded.service, &recorded.runs, job, event).await
    })
    .await
}

/// A service whose runs are recorded.
struct Recorded<S> {
    service: S,
    runs: JobRuns,
}

#[async_trait]
impl<S: FromApp + Send> FromApp for Recorded<S> {
    async fn from_app(app: &App) -> Result<Self, StartError> {
        Ok(Self {
            service: S::from_app(app).await?,
            runs: JobRuns::from_app(app).await?,
        })
    }
}

/// Handles one invocation: runs the job and records its run. Only the job decides the result. A
/// panic is recorded as a failure.
pub async fn invoke<S, J>(
    service: &S,
    runs: &JobRuns,
    job: fn(Run) -> J,
    event: LambdaEvent<Value>,
) -> Result<Value, Error>
where
    S: Processor<J>,
    S::Output: Serialize,
    J: Job,
{
    let LambdaEvent { payload, context } = event;
    let time = time_left(&context);
    let run = Run::within(time).repeating(interval(&payload));
    let request_id = Some(context.request_id).filter(|id| !id.is_empty());
    let started = runs.start(J::NAME, request_id, time).await;
    let result = caught(handle(service, job(run))).await;
    runs.end(&started, result.as_ref()).await;
    result
}

fn interval(payload: &Value) -> Option<Duration> {
    let seconds = payload.get("repeat_seconds")?.as_u64()?;
    (seconds > 0).then(|| Duration::from_secs(seconds))
}

/// Runs one job. Its report is logged and returned.
pub(super) async fn handle<S, J>(service: &S, job: J) -> Result<Value, Error>
where
    S: Processor<J>,
    S::Output: Serialize,
{
    let report = service.process(job).await.inspect_err(|error| {
        telemetry::count_labelled("JobsFailed", "ErrorCode", error.code());
        log_error(error);
    })?;
    let report = serde_json::to_value(report).map_err(Error::internal)?;
    // A job without this field always completes its work.
    if report
        .get("complete")
        .is_none_or(|complete| complete == true)
    {
        telemetry::count("JobsCompleted", 1);
    }
    tracing::info!(%report, "job done");
    Ok(report)
}
