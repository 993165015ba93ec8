//! Counts and times the calls of all services.

use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body::{Frame, SizeHint};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use tonic::body::Body;
use tonic::{Code, Status};
use tower::Service;

use crate::operations;

/// Upper bounds of the latencies, in seconds. A call takes at most 10 seconds by default.
const BUCKETS_SECONDS: [f64; 12] = [
    0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    operation: &'static str,
    code: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Operation {
    operation: &'static str,
}

/// The metrics of calls. Clones share them.
#[derive(Debug, Clone)]
pub struct CallMetrics {
    calls: Family<Outcome, Counter>,
    durations: Family<Operation, Histogram, fn() -> Histogram>,
    in_progress: Gauge,
}

fn histogram() -> Histogram {
    Histogram::new(BUCKETS_SECONDS)
}

impl CallMetrics {
    pub fn registered(registry: &mut Registry) -> Self {
        let metrics = Self {
            calls: Family::default(),
            durations: Family::new_with_constructor(histogram),
            in_progress: Gauge::default(),
        };
        registry.register(
            "telecom_grpc_calls",
            "Calls that have ended, by operation and status",
            metrics.calls.clone(),
        );
        registry.register(
            "telecom_grpc_call_duration_seconds",
            "Time from the arrival of a call to the end of its response",
            metrics.durations.clone(),
        );
        registry.register(
            "telecom_grpc_calls_in_progress",
            "Calls that have not ended",
            metrics.in_progress.clone(),
        );
        metrics
    }

    fn begin(&self, path: &str) -> Call {
        self.in_progress.inc();
        Call {
            metrics: self.clone(),
            operation: operations::name_of(path),
            began: Instant::now(),
            ended: false,
        }
    }
}

/// A call in progress. If it is dropped before its end, it counts as cancelled.
#[derive(Debug)]
struct Call {
    metrics: CallMetrics,
    operation: &'static str,
    began: Instant,
    ended: bool,
}

impl Call {
    /// Counts the call. Only the first status counts.
    fn end(&mut self, code: Code) {
        if mem::replace(&mut self.ended, true) {
            return;
        }
        let (operation, code) = (self.operation, name_of(code));
        let metrics = &self.metrics;
        metrics.in_progress.dec();
        metrics
            .calls
            .get_or_create(&Outcome { operation, code })
            .inc();
        metrics
            .durations
            .get_or_create(&Operation { operation })
            .observe(self.began.elapsed().as_secs_f64());
    }

    /// Ends the call with its response. The status is in the headers if the call failed before it
    /// sent anything, otherwise at the end of the body.
    fn follow(mut self, response: Response<Body>) -> Response<Body> {
        match code_in(response.headers()) {
            Some(code) => {
                self.end(code);
                response
            }
            None => response.map(|body| Body::new(CountedBody { body, call: self })),
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.end(Code::Cancelled);
    }
}

fn code_in(headers: &HeaderMap) -> Option<Code> {
    Some(Code::from_bytes(headers.get("grpc-status")?.as_bytes()))
}

/// The name of a status in the specification of gRPC.
fn name_of(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

/// A response whose end is the end of its call.
struct CountedBody {
    body: Body,
    call: Call,
}

impl http_body::Body for CountedBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        match &frame {
            Some(Ok(frame)) => {
                if let Some(trailers) = frame.trailers_ref() {
                    self.call.end(code_in(trailers).unwrap_or(Code::Unknown));
                }
            }
            Some(Err(status)) => self.call.end(status.code()),
            None => self.call.end(Code::Unknown),
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Counts the calls to a service.
#[derive(Debug, Clone)]
pub struct CountCalls<S> {
    service: S,
    metrics: CallMetrics,
}

impl<S> CountCalls<S> {
    pub fn new(service: S, metrics: CallMetrics) -> Self {
        Self { service, metrics }
    }
}

impl<S, B> Service<Request<B>> for CountCalls<S>
where
    S: Service<Request<B>, Response = Response<Body>>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.service.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let call = self.metrics.begin(request.uri().path());
        let response = self.service.call(request);
        Box::pin(async move { Ok(call.follow(response.await?)) })
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use http_body_util::{BodyExt, StreamBody};
    use prometheus_client::encoding::text::encode;
    use rstest::rstest;
    use tower::{ServiceExt, service_fn};

    use super::*;

    const PATH: &str = "/telecom.v1.Telecom/ListNodes";

    /// A service that answers with a frame of data and, if there is one, a status in the trailers.
    fn answering(
        metrics: &CallMetrics,
        status: Option<&'static str>,
    ) -> impl Service<Request<()>, Response = Response<Body>, Error = Infallible> + use<> {
        let data = Frame::data(Bytes::from_static(b"x"));
        let trailers = status.map(|status| {
            let status = ("grpc-status".parse().unwrap(), status.parse().unwrap());
            Frame::trailers(HeaderMap::from_iter([status]))
        });
        let frames = [Some(data), trailers].into_iter().flatten();
        let frames = futures::stream::iter(frames.map(Ok::<_, Status>));
        let mut body = Some(Body::new(StreamBody::new(frames)));
        let service = service_fn(move |_: Request<()>| {
            std::future::ready(Ok::<_, Infallible>(Response::new(body.take().unwrap())))
        });
        CountCalls::new(service, metrics.clone())
    }

    fn registered() -> (Registry, CallMetrics) {
        let mut registry = Registry::default();
        let metrics = CallMetrics::registered(&mut registry);
        (registry, metrics)
    }

    fn request(path: &str) -> Request<()> {
        Request::builder().uri(path).body(()).unwrap()
    }

    fn count(registry: &Registry, operation: &str, code: &str) -> u64 {
        let mut text = String::new();
        encode(&mut text, registry).unwrap();
        let name =
            format!("telecom_grpc_calls_total{{operation=\"{operation}\",code=\"{code}\"}} ");
        let value = text.lines().find_map(|line| line.strip_prefix(&name));
        value.map_or(0, |value| value.parse().unwrap())
    }

    #[rstest]
    #[case(Some("0"), "OK")]
    #[case(Some("5"), "NOT_FOUND")]
    #[case(None, "UNKNOWN")]
    #[tokio::test]
    async fn a_call_ends_with_the_status_after_its_body(
        #[case] status: Option<&'static str>,
        #[case] code: &str,
    ) {
        let (registry, metrics) = registered();
        let service = answering(&metrics, status);
        let response = service.oneshot(request(PATH)).await.unwrap();
        assert_eq!(count(&registry, "ListNodes", code), 0);
        assert_eq!(metrics.in_progress.get(), 1);
        let _ = response.into_body().collect().await.unwrap();
        assert_eq!(count(&registry, "ListNodes", code), 1);
        assert_eq!(metrics.in_progress.get(), 0);
    }

    #[tokio::test]
    async fn a_response_that_is_dropped_is_a_cancelled_call() {
        let (registry, metrics) = registered();
        let service = answering(&metrics, Some("0"));
        let mut body = service.oneshot(request(PATH)).await.unwrap().into_body();
        assert!(body.frame().await.unwrap().unwrap().is_data());
        drop(body);
        assert_eq!(count(&registry, "ListNodes", "CANCELLED"), 1);
        assert_eq!(count(&registry, "ListNodes", "OK"), 0);
        assert_eq!(metrics.in_progress.get(), 0);
    }

    #[tokio::test]
    async fn a_call_that_is_dropped_before_its_response_is_cancelled() {
        let (registry, metrics) = registered();
        let never = service_fn(async |_: Request<()>| {
            std::future::pending::<()>().await;
            Ok::<_, Infallible>(Response::new(Body::empty()))
        });
        let mut counted = CountCalls::new(never, metrics.clone());
        drop(counted.call(request(PATH)));
        assert_eq!(count(&registry, "ListNodes", "CANCELLED"), 1);
        assert_eq!(metrics.in_progress.get(), 0);
    }

    #[tokio::test]
    async fn all_unknown_paths_are_one_operation() {
        let (registry, metrics) = registered();
        for path in ["/", "/telecom.v1.Telecom/None", "/a.B/C"] {
            let refused = service_fn(async |_: Request<()>| {
                Ok::<_, Infallible>(Status::unimplemented("").into_http::<Body>())
            });
            let refused = CountCalls::new(refused, metrics.clone());
            refused.oneshot(request(path)).await.unwrap();
        }
        assert_eq!(count(&registry, "unknown", "UNIMPLEMENTED"), 3);
    }
}
