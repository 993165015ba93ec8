//! Handlers of Lambda events. A *handler* converts an event into input and output into a response.
//! A *processor* does the work.

pub mod alb;
pub mod api;
pub mod deployment;
pub mod node;
pub mod schedule;
pub mod sqs;

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures::FutureExt;
use lambda_runtime::{Context, Diagnostic, LambdaEvent, service_fn};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use tracing::field::Empty;

use crate::app::{App, FromApp};
use crate::deadline;
use crate::error::{Error, ErrorKind};
use crate::telemetry::{Cause, otlp, traced};
use crate::{events, telemetry};

/// An error that ends the process of a function.
pub type BoxError = lambda_runtime::Error;

/// Runs a function whose service is created once. Renews the database credentials before each event
/// and flushes the metrics after it.
async fn serve<S, E, A>(
    handle: impl AsyncFn(&S, LambdaEvent<E>) -> Result<A, Error>,
) -> Result<(), BoxError>
where
    S: FromApp,
    E: DeserializeOwned,
    A: Serialize,
{
    telemetry::init();
    let app = App::function();
    let service = S::from_app(&app).await?;
    let (app, service, handle) = (&app, &service, &handle);
    lambda_runtime::run(service_fn(
        move |event: LambdaEvent<Box<RawValue>>| async move {
            app.renew_login().await;
            let span = tracing::info_span!("invocation", trace_id = Empty);
            let cause = Cause::of_invocation(&event.context);
            let handled = caught(async { handle(service, read_event(event)?).await });
            // Boxed, because each surrounding layer would repeat the type of the future.
            let result = Box::pin(traced(span, cause, handled)).await;
            telemetry::flush();
            otlp::export().await;
            result
        },
    ))
    .await
}

/// Parses an event. The runtime would log the content of an event that it cannot parse.
fn read_event<E: DeserializeOwned>(
    event: LambdaEvent<Box<RawValue>>,
) -> Result<LambdaEvent<E>, Error> {
    let LambdaEvent { payload, context } = event;
    let payload = events::parse(payload.get()).inspect_err(log_error)?;
    Ok(LambdaEvent { payload, context })
}

/// Converts a panic into an error. The runtime would log the message of the panic.
async fn caught<T>(work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    AssertUnwindSafe(work)
        .catch_unwind()
        .await
        .unwrap_or_else(|panic| Err(panicked(&*panic)))
}

/// The error of work that panicked.
fn panicked(panic: &(dyn std::any::Any + Send)) -> Error {
    Error::internal(format!("panic: {}", telemetry::panic_message(panic)))
}

impl Cause {
    /// The trace of an invocation, which Lambda begins.
    fn of_invocation(context: &Context) -> Option<Self> {
        Self::of_header(context.xray_trace_id.as_deref()?)
    }
}

/// Time reserved for the response after the work was cancelled.
const ANSWER_MARGIN: Duration = Duration::from_millis(500);

/// Time left in this invocation. `None` if it has no deadline, or one in the past as emulators may
/// set.
fn time_left(context: &Context) -> Option<Duration> {
    use crate::clock::Clock;
    let now = u64::try_from(crate::clock::System.now().timestamp_millis()).ok()?;
    context
        .deadline
        .checked_sub(now)
        .filter(|left| *left > 0)
        .map(Duration::from_millis)
}

/// Time left for the work of this invocation.
fn time_to_work(context: &Context) -> Option<Duration> {
    time_left(context).map(|left| left.saturating_sub(ANSWER_MARGIN))
}

/// Cancels the work shortly before the deadline of the invocation.
async fn before_deadline<T>(
    context: &Context,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    deadline::within(time_to_work(context), work).await
}

/// Logs an error. An error in the request is logged at INFO, an outage at WARN, a bug at ERROR.
fn log_error(error: &Error) {
    let (code, cause, message) = (error.code(), error.cause(), error.to_string());
    match error.kind() {
        ErrorKind::Internal => tracing::error!(error_code = code, cause, message),
        ErrorKind::Unavailable | ErrorKind::DeadlineExceeded => {
            tracing::warn!(error_code = code, cause, message);
        }
        _ => tracing::info!(error_code = code, cause, message),
    }
}

/// The part of an error that the caller of the invocation sees. The log contains the rest.
impl From<Error> for Diagnostic {
    fn from(error: Error) -> Self {
        Self {
            error_type: error.code().to_owned(),
            error_message: error.to_string(),
        }
    }
}
