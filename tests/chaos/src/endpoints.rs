//! The API functions behind events of the load balancer, in one process. Where it is deployed, each
//! endpoint is a function of its own.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;

use anyhow::Result;
use lambda_http::{Body, Request, Response, service_fn};
use lambda_runtime::{Context, LambdaEvent};
use serde_json::Value;
use serde_json::value::RawValue;
use shared::auth::{Admission, Authenticator};
use shared::clock;
use shared::config::{AuthConfig, RateLimitConfig, TelecomConfig};
use shared::error::Error;
use shared::http::nodes::Nodes;
use shared::http::{Endpoint, endpoint_for, endpoints};
use shared::lambda::{alb, api};
use shared::services::Operation as _;
use shared::services::analysis::AnalysisService;
use shared::services::manage::ManageService;
use sqlx::PgPool;

use crate::protocol::Outcome;

/// The services of all endpoints.
pub struct Endpoints {
    admission: Admission,
    manage: ManageService,
    analysis: AnalysisService,
}

impl Endpoints {
    /// Reads the accepted tokens from the environment.
    pub fn new(pool: PgPool, context: clock::Context, config: TelecomConfig) -> Result<Self> {
        let clock = Arc::clone(&context.clock);
        let authenticator = Authenticator::new(AuthConfig::from_env()?, Arc::clone(&clock))?;
        Ok(Self {
            admission: Admission::new(authenticator, RateLimitConfig::OFF, clock),
            analysis: AnalysisService::new(pool.clone(), context.clone()),
            manage: ManageService::new(pool, context, config),
        })
    }

    /// Answers a request that the load balancer sent as `event`.
    pub async fn answer(&self, event: Option<Value>, context: Context) -> Result<Outcome, Error> {
        let event = event.unwrap_or_default();
        let path = event.get("path").and_then(Value::as_str);
        let path = path.unwrap_or_default();
        let payload = RawValue::from_string(event.to_string()).map_err(Error::internal)?;
        let service = service_fn(|request: Request| async {
            Ok::<_, Infallible>(self.route(path, request).await)
        });
        let response = alb::handle(service, LambdaEvent::new(payload, context)).await;
        let body = response.body.as_deref().unwrap_or_default();
        Ok(Outcome::Answered {
            status: u16::try_from(response.status_code).map_err(Error::internal)?,
            body: serde_json::from_slice(body).unwrap_or_default(),
        })
    }

    async fn route(&self, path: &str, request: Request) -> Response<Body> {
        let endpoints = endpoints();
        let selected = endpoint_for(&endpoints, request.method(), path).map(|found| found.rpc);
        macro_rules! serve {
            ($endpoint:ty) => {
                if selected == Some(<$endpoint as Endpoint>::Input::NAME) {
                    return self.serve::<$endpoint>(request).await;
                }
            };
        }
        shared::for_each_endpoint!(serve);
        self.serve::<Nodes>(request).await
    }

    /// Calls the function of an endpoint. The future is boxed, so that [`Self::route`] does not
    /// contain the futures of all endpoints.
    fn serve<E>(
        &self,
        request: Request,
    ) -> Pin<Box<dyn Future<Output = Response<Body>> + Send + '_>>
    where
        E: Endpoint<Service: Served + 'static> + 'static,
    {
        let service = E::Service::of(self);
        Box::pin(api::handle::<E>(service, &self.admission, request))
    }
}

/// A service of endpoints.
trait Served {
    fn of(endpoints: &Endpoints) -> &Self;
}

impl Served for ManageService {
    fn of(endpoints: &Endpoints) -> &Self {
        &endpoints.manage
    }
}

impl Served for AnalysisService {
    fn of(endpoints: &Endpoints) -> &Self {
        &endpoints.analysis
    }
}
