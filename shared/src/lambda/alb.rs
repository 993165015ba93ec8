//! Events of the load balancer in, answers that it takes out. No client may make a function fail:
//! what cannot be read is a 400 as well.

use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind};

use aws_lambda_events::alb::AlbTargetGroupResponse;
use futures::FutureExt;
use http::header::{HeaderName, HeaderValue, STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS};
use lambda_http::tower::{Service, ServiceExt};
use lambda_http::{Body, Request, RequestExt, Response};
use lambda_runtime::{LambdaEvent, service_fn};
use serde_json::value::RawValue;

use super::{BoxError, caught, log_error, panicked};
use crate::error::{Error, ErrorKind};
use crate::http::problem;

/// Headers of every answer. A browser must not come back over plain HTTP, nor take a body for
/// anything else than its type says.
const SECURITY_HEADERS: [(HeaderName, &str); 2] = [
    (STRICT_TRANSPORT_SECURITY, "max-age=31536000"),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
];

/// Serves the events of a function.
pub async fn run<S>(service: S) -> Result<(), BoxError>
where
    S: Service<Request, Response = Response<Body>, Error = Infallible> + Clone + Send,
    S::Future: Send,
{
    lambda_runtime::run(service_fn(|event: LambdaEvent<Box<RawValue>>| {
        let service = service.clone();
        async move { Ok::<_, Infallible>(answer(service, event).await) }
    }))
    .await
}

/// Answers one event.
pub async fn answer<S>(service: S, event: LambdaEvent<Box<RawValue>>) -> AlbTargetGroupResponse
where
    S: Service<Request, Response = Response<Body>, Error = Infallible>,
{
    let answered = match read(event) {
        Ok(request) => {
            caught(
                service
                    .oneshot(request)
                    .map(|answered| answered.map_err(|never| match never {})),
            )
            .await
        }
        Err(error) => Err(error),
    };
    write(answered.unwrap_or_else(|error| {
        log_error(&error);
        problem::response(&error)
    }))
}

/// What cannot be read is not logged: the crates that read it quote the text of the client.
fn read(event: LambdaEvent<Box<RawValue>>) -> Result<Request, Error> {
    let malformed = || {
        let message = "The request is malformed. Its host, path and headers must be valid HTTP.";
        Error::new(ErrorKind::InvalidArgument, "malformed_request", message)
    };
    // A URL is made of what the client says its host and path are, and where none can be made there
    // is a panic.
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
    let mut answer = AlbTargetGroupResponse::default();
    answer.status_code = parts.status.as_u16().into();
    answer.status_description = Some(parts.status.to_string());
    // A target group takes the ones or the others, by how it is set.
    answer.headers.clone_from(&parts.headers);
    answer.multi_value_headers = parts.headers;
    answer.is_base64_encoded = matches!(body, Body::Binary(_));
    answer.body = Some(body);
    answer
}
