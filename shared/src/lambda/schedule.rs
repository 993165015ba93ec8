//! Functions that EventBridge Scheduler or an operator invokes. A job runs until the deadline of
//! the invocation at most.
//!
//! If the payload has `repeat_seconds`, a job that can repeats its work at that interval. Anything
//! else in the payload is ignored.

use std::time::Duration;

use lambda_runtime::LambdaEvent;
use serde::Serialize;
use serde_json::Value;

use super::{BoxError, log_error, serve, time_left};
use crate::app::FromApp;
use crate::error::Error;
use crate::services::Processor;
use crate::services::cron::Run;
use crate::telemetry;

/// Runs a job at each invocation. Its report is logged and returned.
pub async fn run<S, J>(job: fn(Run) -> J) -> Result<(), BoxError>
where
    S: FromApp + Processor<J>,
    S::Output: Serialize,
{
    serve(async |service: &S, event: LambdaEvent<Value>| {
        let run = Run::within(time_left(&event.context)).repeating(interval(&event.payload));
        handle(service, job(run)).await
    })
    .await
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
