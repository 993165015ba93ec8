//! One line in the log for each call, whoever answers it: the services, or the transport that
//! refuses it before them.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Instant;

use http::{HeaderMap, Request, Response};
use prost::Message;
use prost_types::FileDescriptorSet;
use shared::error::{Error, ErrorKind};
use shared::telemetry::{RequestIds, millis_since};
use tonic::{Code, Status};
use tonic_types::StatusExt;
use tower::Service;

use crate::status;

/// The error of a call, for the log: the client is told less of it. Travels with the request.
#[derive(Debug, Clone, Default)]
pub struct Fault(Arc<Mutex<Option<Error>>>);

impl Fault {
    /// Keeps an error, and answers what the client is told of it.
    pub fn keep(&self, error: Error) -> Status {
        let status = status::of(&error);
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
        status
    }

    fn take(&self) -> Option<Error> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Logs the calls that a service answers, and gives a code to those that the transport refuses.
#[derive(Debug, Clone)]
pub struct CallLog<S>(pub S);

impl<S, B, R> Service<Request<B>> for CallLog<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let (mut line, fault) = (Line::begin(&request), Fault::default());
        request.extensions_mut().insert(fault.clone());
        let answering = self.0.call(request);
        Box::pin(async move {
            let mut response = answering.await?;
            line.end(fault.take(), response.headers_mut());
            Ok(response)
        })
    }
}

/// Each method by its path: the path of a call is the client's text, and is logged as none but one
/// of these.
static METHODS: LazyLock<HashMap<String, String>> = LazyLock::new(|| {
    let mut methods = HashMap::new();
    for set in [
        proto::FILE_DESCRIPTOR_SET,
        tonic_health::pb::FILE_DESCRIPTOR_SET,
    ] {
        for file in FileDescriptorSet::decode(set).unwrap_or_default().file {
            for service in &file.service {
                let path =
                    |method: &str| format!("/{}.{}/{method}", file.package(), service.name());
                methods.extend(
                    service
                        .method
                        .iter()
                        .map(|method| (path(method.name()), method.name().to_owned())),
                );
            }
        }
    }
    methods
});

/// The line of a call; one that the client gave up has one as well.
struct Line {
    operation: &'static str,
    ours: bool,
    ids: RequestIds,
    began: Instant,
    ended: bool,
}

/// Writes the line of a call that was answered, at a level, which `tracing` must know when it is
/// compiled.
macro_rules! answered {
    ($level:ident, $line:expr, $code:expr, $error_code:expr, $error:expr, $cause:expr) => {{
        let Line { operation, ids: RequestIds { request_id, trace_id }, began, .. } = $line;
        tracing::$level!(
            operation,
            code = ?$code,
            took_ms = millis_since(*began),
            request_id,
            trace_id,
            error_code = $error_code,
            error = $error,
            cause = $cause,
            "call completed"
        );
    }};
}

impl Line {
    fn begin<B>(request: &Request<B>) -> Self {
        let path = request.uri().path();
        Self {
            operation: METHODS.get(path).map_or("unknown", String::as_str),
            ours: path.starts_with("/telecom.v1."),
            ids: RequestIds::of(request.headers()),
            began: Instant::now(),
            ended: false,
        }
    }

    fn end(&mut self, fault: Option<Error>, headers: &mut HeaderMap) {
        self.ended = true;
        if let Some(error) = fault {
            return self.failed(&error);
        }
        match Status::from_header_map(headers).filter(|status| status.code() != Code::Ok) {
            Some(status) => match status::of_refusal(status) {
                Ok(status) => self.refused(&status, headers),
                Err(error) => {
                    self.failed(&error);
                    tell(&status::of(&error), headers);
                }
            },
            // How the server is is asked every few seconds: that it is well is no news.
            None if self.ours => self.answered(Code::Ok, None, None),
            None => {}
        }
    }

    fn refused(&self, status: &Status, headers: &mut HeaderMap) {
        // What the transport says of it may quote the client.
        let reason = status.get_details_error_info().map(|info| info.reason);
        self.answered(status.code(), reason.as_deref(), None);
        tell(status, headers);
    }

    fn failed(&self, error: &Error) {
        let code = status::code(error.kind());
        let (error_code, said, cause) = (error.code(), error.to_string(), error.cause());
        match error.kind() {
            ErrorKind::Internal => answered!(error, self, code, error_code, said, cause),
            ErrorKind::Unavailable | ErrorKind::DeadlineExceeded => {
                answered!(warn, self, code, error_code, said, cause);
            }
            _ => self.answered(code, Some(error_code), Some(&said)),
        }
    }

    fn answered(&self, code: Code, error_code: Option<&str>, error: Option<&str>) {
        answered!(info, self, code, error_code, error, None::<&str>);
    }
}

/// Puts a status in the place of the one that an answer has.
fn tell(status: &Status, headers: &mut HeaderMap) {
    if let Err(status) = status.add_header(headers) {
        tracing::warn!(%status, "cannot write the status of a rejected call");
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if !self.ended {
            let Self {
                operation,
                ids:
                    RequestIds {
                        request_id,
                        trace_id,
                    },
                began,
                ..
            } = self;
            let took_ms = millis_since(*began);
            tracing::info!(operation, code = ?Code::Cancelled, took_ms, request_id, trace_id,
                "call cancelled by the client");
        }
    }
}

#[cfg(test)]
mod tests {
    use tower::{ServiceExt, service_fn};

    use super::*;

    #[tokio::test]
    async fn a_fault_of_the_transport_itself_is_ours_and_tells_nothing_of_the_inside() {
        let broken = service_fn(async |_: Request<()>| {
            Ok::<_, ()>(Status::internal("secret").into_http::<()>())
        });
        let answer = CallLog(broken).oneshot(Request::new(())).await.unwrap();
        let status = Status::from_header_map(answer.headers()).unwrap();
        let reason = status.get_details_error_info().unwrap().reason;
        assert_eq!(
            (status.code(), reason.as_str()),
            (Code::Internal, "internal")
        );
        assert!(!format!("{:?}", answer.headers()).contains("secret"));
    }
}
