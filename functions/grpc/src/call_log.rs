//! Writes one log line per call, also for a call that the transport rejects before it reaches a
//! service.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Instant;

use http::{HeaderMap, Request, Response};
use shared::error::{Error, ErrorKind};
use shared::telemetry::{Cause, RequestIds, millis_since, traced};
use tonic::{Code, Status};
use tonic_types::StatusExt;
use tower::Service;
use tracing::Span;
use tracing::field::Empty;

use crate::{operations, status};

/// The error of a call, for the log. The client sees less of it. It is an extension of the request.
#[derive(Debug, Clone, Default)]
pub struct CallError(Arc<Mutex<Option<Error>>>);

impl CallError {
    /// Stores an error and returns its status for the client.
    pub fn keep(&self, error: Error) -> Status {
        let status = status::of(&error);
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
        status
    }

    fn take(&self) -> Option<Error> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Logs the calls to a service, and adds our error code to those that the transport rejects.
#[derive(Debug, Clone)]
pub struct CallLog<S>(pub S);

impl<S, B, R> Service<Request<B>> for CallLog<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    S::Error: 'static,
    S::Future: Send + 'static,
    R: 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let cause = Cause::of_request(request.headers());
        let (mut line, call_error) = (Line::begin(&request), CallError::default());
        let span = line.span();
        request.extensions_mut().insert(call_error.clone());
        let call = self.0.call(request);
        Box::pin(traced(span, cause, async move {
            let mut response = call.await?;
            line.end(call_error.take(), response.headers_mut());
            Ok(response)
        }))
    }
}

/// The log line of a call. It is also written if the client cancels the call.
struct Line {
    operation: &'static str,
    ours: bool,
    ids: RequestIds,
    began: Instant,
    ended: bool,
}

/// Writes the line of a call. A macro, because `tracing` requires the level and the fields at
/// compile time.
macro_rules! write_line {
    ($level:ident, $line:expr, $code:expr, $($fields:tt)+) => {{
        let Line { operation, ids: RequestIds { request_id, trace_id }, began, .. } = $line;
        let took_ms = millis_since(*began);
        tracing::$level!(operation, code = ?$code, took_ms, request_id, trace_id, $($fields)+);
    }};
}

impl Line {
    fn begin<B>(request: &Request<B>) -> Self {
        let path = request.uri().path();
        Self {
            operation: operations::name_of(path),
            ours: path.starts_with("/telecom.v1."),
            ids: RequestIds::of(request.headers()),
            began: Instant::now(),
            ended: false,
        }
    }

    /// The span of a call to our services. Health checks have none.
    fn span(&self) -> Span {
        let operation = self.operation;
        if !self.ours {
            return Span::none();
        }
        tracing::info_span!("call", otel.kind = "server", operation, trace_id = Empty)
    }

    fn end(&mut self, error: Option<Error>, headers: &mut HeaderMap) {
        self.ended = true;
        if let Some(error) = error {
            return self.failed(&error);
        }
        match Status::from_header_map(headers).filter(|status| status.code() != Code::Ok) {
            Some(status) => match status::of_refusal(status) {
                Ok(status) => self.rejected(&status, headers),
                Err(error) => {
                    self.failed(&error);
                    replace_status(&status::of(&error), headers);
                }
            },
            // Health checks arrive every few seconds. Successful ones are not logged.
            None if self.ours => self.completed(Code::Ok, None, None),
            None => {}
        }
    }

    fn rejected(&self, status: &Status, headers: &mut HeaderMap) {
        // The message of the transport is not logged, because it may quote the client.
        let reason = status.get_details_error_info().map(|info| info.reason);
        self.completed(status.code(), reason.as_deref(), None);
        replace_status(status, headers);
    }

    fn failed(&self, error: &Error) {
        let code = status::code(error.kind());
        let (kind, error_code, cause) = (error.kind(), error.code(), error.cause());
        let error = error.to_string();
        match kind {
            ErrorKind::Internal => {
                write_line!(
                    error,
                    self,
                    code,
                    error_code,
                    error,
                    cause,
                    "call completed"
                );
            }
            ErrorKind::Unavailable | ErrorKind::DeadlineExceeded => {
                write_line!(warn, self, code, error_code, error, cause, "call completed");
            }
            _ => self.completed(code, Some(error_code), Some(&error)),
        }
    }

    fn completed(&self, code: Code, error_code: Option<&str>, error: Option<&str>) {
        write_line!(info, self, code, error_code, error, "call completed");
    }
}

/// Replaces the status in the headers of a response.
fn replace_status(status: &Status, headers: &mut HeaderMap) {
    if let Err(status) = status.add_header(headers) {
        tracing::warn!(%status, "cannot write the status of a rejected call");
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if !self.ended {
            write_line!(info, self, Code::Cancelled, "call cancelled by the client");
        }
    }
}

#[cfg(test)]
mod tests {
    use tower::{ServiceExt, service_fn};

    use super::*;

    #[tokio::test]
    async fn an_error_of_the_transport_is_internal_and_hides_its_message() {
        let broken = service_fn(async |_: Request<()>| {
            Ok::<_, ()>(Status::internal("secret").into_http::<()>())
        });
        let response = CallLog(broken).oneshot(Request::new(())).await.unwrap();
        let status = Status::from_header_map(response.headers()).unwrap();
        let reason = status.get_details_error_info().unwrap().reason;
        assert_eq!(
            (status.code(), reason.as_str()),
            (Code::Internal, "internal")
        );
        assert!(!format!("{:?}", response.headers()).contains("secret"));
    }
}
