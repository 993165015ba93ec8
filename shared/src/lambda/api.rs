//! APIs behind the load balancer.

use lambda_http::{Body, Request, RequestExt, Response, service_fn};

use super::{BoxError, before_deadline, log_error};
use crate::app::{App, FromApp};
use crate::auth::{Authenticator, Principal};
use crate::error::Error;
use crate::http::{Endpoint, problem};
use crate::services::Processor;
use crate::telemetry;

/// Serves one endpoint.
pub async fn run<E>() -> Result<(), BoxError>
where
    E: Endpoint,
    E::Service: FromApp,
{
    telemetry::init();
    let app = App::default();
    let (service, authenticator) = (E::Service::from_app(&app).await?, app.authenticator()?);
    let (service, authenticator) = (&service, &authenticator);
    lambda_http::run(service_fn(move |request: Request| async move {
        let response = handle::<E>(service, authenticator, request).await;
        telemetry::flush();
        Ok::<_, std::convert::Infallible>(response)
    }))
    .await
}

/// Answers one request: who asks, what for, the answer; or the problem.
pub async fn handle<E: Endpoint>(
    service: &E::Service,
    authenticator: &Authenticator,
    request: Request,
) -> Response<Body> {
    let response = match answer::<E>(service, authenticator, &request).await {
        Ok(output) => crate::http::json(&output).unwrap_or_else(|error| problem::response(&error)),
        Err(error) => {
            log_error(&error);
            problem::response(&error)
        }
    };
    let status = response.status().as_u16();
    tracing::info!(operation = E::OPERATION, status, "request answered");
    telemetry::count(if status < 500 { "RequestsAnswered" } else { "RequestsFailed" }, 1);
    response
}

async fn answer<E: Endpoint>(
    service: &E::Service,
    authenticator: &Authenticator,
    request: &Request,
) -> Result<<E::Service as Processor<E::Input>>::Output, Error> {
    let principal: Principal = authenticator.authenticate(request.headers())?;
    let input = E::input(request, &principal)?;
    let invocation = request.lambda_context_ref().cloned().unwrap_or_default();
    before_deadline(&invocation, service.process(input)).await
}
