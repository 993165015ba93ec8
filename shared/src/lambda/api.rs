//! The API functions behind the load balancer.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Instant;

use http::header::{
    ACCEPT, AUTHORIZATION, CONTENT_TYPE, ETAG, HeaderName, IF_MATCH, IF_NONE_MATCH, RETRY_AFTER,
};
use http::{HeaderValue, Method};
use lambda_http::{Body, Request, RequestExt, Response, service_fn, tower};
use tower::Layer;
use tower_http::cors::{AllowOrigin, CorsLayer};

use super::alb::{self, Handler};
use super::{BoxError, before_deadline, log_error};
use crate::app::{App, FromApp};
use crate::auth::Admission;
use crate::config::CorsConfig;
use crate::domain::condition::IDEMPOTENCY_KEY;
use crate::error::Error;
use crate::http::request::ApiRequest;
use crate::http::{Endpoint, Output, allowed_methods, problem, response};
use crate::services::{Operation, dispatch};
use crate::telemetry::{self, RequestIds};

/// Runs a function that serves one endpoint.
pub async fn run<E>() -> Result<(), BoxError>
where
    E: Endpoint,
    E::Service: FromApp + 'static,
{
    telemetry::init();
    let app = App::function();
    let (service, admission) = (E::Service::from_app(&app).await?, app.admission()?);
    let parts = Arc::new((app, service, admission));
    serve(Handler::new(service_fn(move |request: Request| {
        let parts = Arc::clone(&parts);
        async move {
            let (app, service, admission) = &*parts;
            app.renew_login().await;
            Ok::<_, Infallible>(handle::<E>(service, admission, request).await)
        }
    })))
    .await
}

/// Runs the function that serves the documentation of all endpoints. It requires no token.
pub async fn run_documentation() -> Result<(), BoxError> {
    telemetry::init();
    serve(Handler::new(service_fn(|request: Request| async move {
        Ok::<_, Infallible>(document(&request))
    })))
    .await
}

async fn serve(service: Handler) -> Result<(), BoxError> {
    let service = cors(&CorsConfig::from_env()?).layer(service);
    alb::run(Handler::new(service)).await
}

/// Allows web pages of the configured origins to call the API.
pub fn cors(config: &CorsConfig) -> CorsLayer {
    let any = config.allowed_origins.iter().any(|origin| origin == "*");
    let origins = if any {
        AllowOrigin::any()
    } else {
        AllowOrigin::list(config.allowed_origins.clone())
    };
    CorsLayer::new()
        .allow_origin(origins)
        .allow_methods([
            Method::GET,
            Method::HEAD,
            Method::POST,
            Method::PUT,
            Method::PATCH,
            Method::DELETE,
        ])
        .allow_headers([
            ACCEPT,
            AUTHORIZATION,
            CONTENT_TYPE,
            IF_MATCH,
            IF_NONE_MATCH,
            HeaderName::from_static(IDEMPOTENCY_KEY),
        ])
        .expose_headers([ETAG, RETRY_AFTER])
        .max_age(std::time::Duration::from_mins(10))
}

/// Handles one request: checks the method, authenticates, authorizes, processes and responds.
pub async fn handle<E: Endpoint>(
    service: &E::Service,
    admission: &Admission,
    request: Request,
) -> Response<Body> {
    let work = Box::pin(answer::<E>(service, admission, &request));
    alb::respond(&request, work).await
}

async fn answer<E: Endpoint>(
    service: &E::Service,
    admission: &Admission,
    request: &Request,
) -> Response<Body> {
    let began = Instant::now();
    let result = match other_method(request, &E::METHOD, E::PATH) {
        Some(refusal) => Ok(refusal),
        None => process::<E>(service, admission, request)
            .await
            .and_then(|output| response::ok::<E>(request, &output)),
    };
    let response = result.unwrap_or_else(|error| {
        log_error(&error);
        problem::response(&error)
    });
    let status = response.status().as_u16();
    let took_ms = telemetry::millis_since(began);
    let RequestIds {
        request_id,
        trace_id,
    } = RequestIds::of(request.headers());
    tracing::info!(
        operation = E::Input::NAME,
        status,
        took_ms,
        request_id,
        trace_id,
        "request completed"
    );
    telemetry::count(
        if status < 500 {
            "RequestsAnswered"
        } else {
            "RequestsFailed"
        },
        1,
    );
    response
}

/// The 405 response if a request does not have the method of an endpoint, which accepts `path`.
/// `None` if it has.
fn other_method(request: &Request, method: &Method, path: &str) -> Option<Response<Body>> {
    let is_head = method == Method::GET && request.method() == Method::HEAD;
    (request.method() != method && !is_head)
        .then(|| problem::method_not_allowed(&allowed_methods(path)))
}

async fn process<E: Endpoint>(
    service: &E::Service,
    admission: &Admission,
    request: &Request,
) -> Result<Output<E>, Error> {
    let invocation = request.lambda_context_ref().cloned().unwrap_or_default();
    before_deadline(&invocation, async {
        dispatch(admission, request.headers(), service, |principal| {
            E::input(&ApiRequest::read::<E>(request, principal)?)
        })
        .await
    })
    .await
}

/// Responds with the documentation: the HTML page or the OpenAPI document.
#[must_use]
pub fn document(request: &Request) -> Response<Body> {
    const PAGE: &str = include_str!("../../../docs/openapi.html");
    const DOCUMENT: &str = include_str!("../../../docs/openapi.json");
    if ![Method::GET, Method::HEAD].contains(request.method()) {
        return problem::method_not_allowed("GET, HEAD, OPTIONS");
    }
    let (content_type, body) = match request.raw_http_path() {
        "/docs" => ("text/html; charset=utf-8", PAGE),
        "/v1/openapi.json" => ("application/json", DOCUMENT),
        _ => return problem::response(&Error::not_found("The path")),
    };
    let mut response = response::tagged(
        request,
        content_type,
        body.to_owned(),
        None,
        "public, max-age=300",
    )
    .unwrap_or_else(|error| problem::response(&error));
    // The page has no scripts and loads nothing, and no injected content may do so.
    let policy = HeaderValue::from_static(
        "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    );
    response
        .headers_mut()
        .insert(http::header::CONTENT_SECURITY_POLICY, policy);
    response
}
