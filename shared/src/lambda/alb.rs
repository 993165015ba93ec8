//! Converts events of the load balancer into requests, and responses into its format. No client can
//! make a function fail: an event that cannot be parsed results in a 400, too.

use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind};

use aws_lambda_events::alb::AlbTargetGroupResponse;
use futures::future::BoxFuture;
use http::header::{HeaderName, HeaderValue, STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS};
use lambda_http::tower::util::BoxCloneService;
use lambda_http::tower::{Service, ServiceExt};
use lambda_http::{Body, Request, RequestExt, Response};
use lambda_runtime::{LambdaEvent, service_fn};
use serde_json::value::RawValue;
use tracing::field::Empty;

use super::{BoxError, caught, log_error, panicked};
use crate::error::{Error, ErrorKind};
use crate::http::problem;
use crate::telemetry::{self, Cause, otlp, traced};

/// Headers of every response. A browser must not return over plain HTTP, and must not guess the
/// type of a body.
const SECURITY_HEADERS: [(HeaderName, &str); 2] = [
    (STRICT_TRANSPORT_SECURITY, "max-age=31536000"),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
];

/// What serves the requests of a function. Its type is the same for every function, so that what
/// surrounds it is compiled once, and not again for the binary of each function.
pub type Handler = BoxCloneService<Request, Response<Body>, Infallible>;

/// Runs a function that serves events of the load balancer.
pub async fn run(service: Handler) -> Result<(), BoxError> {
    lambda_runtime::run(service_fn(|event: LambdaEvent<Box<RawValue>>| {
        let service = service.clone();
        async move { Ok::<_, Infallible>(handle(service, event).await) }
    }))
    .await
}

/// Returns the response to one event. Errors and panics become error responses.
pub async fn handle<S>(service: S, event: LambdaEvent<Box<RawValue>>) -> AlbTargetGroupResponse
where
    S: Service<Request, Response = Response<Body>, Error = Infallible>,
{
    let response = caught(async {
        let Ok(response) = service.oneshot(read(event)?).await;
        Ok(response)
    })
    .await;
    write(response.unwrap_or_else(|error| {
        log_error(&error);
        problem::response(&error)
    }))
}

/// Runs the work of a request as part of its trace, and flushes what it recorded before the
/// response.
///
/// `work` is boxed, so that this is compiled once, and not again for each function.
pub(super) async fn respond(
    request: &Request,
    work: BoxFuture<'_, Response<Body>>,
) -> Response<Body> {
    let span = tracing::info_span!("request", otel.kind = "server", trace_id = Empty);
    let of_invocation = || Cause::of_invocation(request.lambda_context_ref()?);
    let cause = Cause::of_request(request.headers()).or_else(of_invocation);
    let response = traced(span, cause, work).await;
    telemetry::flush();
    otlp::export().await;
    response
}

/// Parses an event. Errors of the parsers are not logged, because they quote text from the client.
fn read(event: LambdaEvent<Box<RawValue>>) -> Result<Request, Error> {
    let malformed = || {
        let message = "The request is malformed. Its host, path and headers must be valid HTTP.";
        Error::new(ErrorKind::InvalidArgument, "malformed_request", message)
    };
    // `lambda_http` builds a URL from the host and the path that the client sent, and panics if
    // that fails.
    let request = catch_unwind(AssertUnwindSafe(|| {
        lambda_http::request::from_str(event.payload.get())
    }));
    let request = request.map_err(|panic| malformed().with_source(panicked(&*panic)))?;
    Ok(request
        .map_err(|_| malformed())?
        .with_lambda_context(event.context))
}

fn write(response: Response<Body>) -> AlbTargetGroupResponse {
    let (mut parts, body) = response.into_parts();
    parts
        .headers
        .extend(SECURITY_HEADERS.map(|(name, value)| (name, HeaderValue::from_static(value))));
    let mut output = AlbTargetGroupResponse::default();
    output.status_code = parts.status.as_u16().into();
    output.status_description = Some(parts.status.to_string());
    // A target group reads one of the two maps, depending on its configuration.
    output.headers.clone_from(&parts.headers);
    output.multi_value_headers = parts.headers;
    output.is_base64_encoded = matches!(body, Body::Binary(_));
    output.body = Some(body);
    output
}
