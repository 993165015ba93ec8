//! The edges: events of Lambda in, answers out. A *handler* is one of these; the work is a
//! processor's.

pub mod alb;
pub mod api;
pub mod deployment;
pub mod schedule;
pub mod sqs;

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures::FutureExt;
use lambda_runtime::{Context, Diagnostic, LambdaEvent, service_fn};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use crate::app::{App, FromApp};
use crate::deadline;
use crate::error::{Error, ErrorKind};
use crate::{events, telemetry};

/// What ends a function's process.
pub type BoxError = lambda_runtime::Error;

/// Runs a function whose service is made once. Before each event its login is renewed, after it the
/// metrics are written.
async fn serve<S, E, A>(
    handle: impl AsyncFn(&S, LambdaEvent<E>) -> Result<A, Error>,
) -> Result<(), BoxError>
where
    S: FromApp,
    E: DeserializeOwned,
    A: Serialize,
{
    telemetry::init();
    let app = App::default();
    let service = S::from_app(&app).await?;
    let (app, service, handle) = (&app, &service, &handle);
    lambda_runtime::run(service_fn(
        move |event: LambdaEvent<Box<RawValue>>| async move {
            app.renew_login().await;
            let answer = match read_event(event) {
                Ok(event) => caught(handle(service, event)).await,
                Err(error) => Err(error),
            };
            telemetry::flush();
            answer
        },
    ))
    .await
}

/// Reads an event here: the runtime would log what it cannot read.
fn read_event<E: DeserializeOwned>(
    event: LambdaEvent<Box<RawValue>>,
) -> Result<LambdaEvent<E>, Error> {
    let LambdaEvent { payload, context } = event;
    let payload = events::parse(payload.get()).inspect_err(log_error)?;
    Ok(LambdaEvent { payload, context })
}

/// Turns a panic into an error: the runtime would log what it says.
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

/// Time left for saying what happened after the work was given up.
const ANSWER_MARGIN: Duration = Duration::from_millis(500);

/// How long this invocation may still take; none where the caller states no deadline (an emulator
/// may state one that is always past).
fn time_left(context: &Context) -> Option<Duration> {
    use crate::clock::Clock;
    let now = u64::try_from(crate::clock::System.now().timestamp_millis()).ok()?;
    context
        .deadline
        .checked_sub(now)
        .filter(|left| *left > 0)
        .map(Duration::from_millis)
}

/// How long the work of this invocation may still take.
fn time_to_work(context: &Context) -> Option<Duration> {
    time_left(context).map(|left| left.saturating_sub(ANSWER_MARGIN))
}

/// Gives work up shortly before the invocation's deadline.
async fn before_deadline<T>(
    context: &Context,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    deadline::within(time_to_work(context), work).await
}

/// One line for an error, at the level it deserves: a caller's fault is no fault of ours.
fn log_error(error: &Error) {
    let (code, cause, message) = (error.code(), error.cause(), error.to_string());
    match error.kind() {
        ErrorKind::Internal => tracing::error!(error_code = code, cause, message),
        ErrorKind::Unavailable | ErrorKind::DeadlineExceeded => {
            tracing::warn!(error_code = code, cause, message)
        }
        _ => tracing::info!(error_code = code, cause, message),
    }
}

/// What the invocation's caller learns of an error; the log has the rest.
impl From<Error> for Diagnostic {
    fn from(error: Error) -> Self {
        Self {
            error_type: error.code().to_owned(),
            error_message: error.to_string(),
        }
    }
}
