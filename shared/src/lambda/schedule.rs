//! Functions that EventBridge Scheduler or an operator invokes. The payload is ignored. A job runs
//! until the deadline of the invocation at most.

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
        handle(service, job(Run::within(time_left(&event.context)))).await
    })
    .await
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
