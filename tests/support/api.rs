//! The APIs under test, over events of the load balancer and over a gRPC socket.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::LazyLock;

use lambda_http::tower::Layer;
use lambda_http::{Body, Context, LambdaEvent, Request, Response, service_fn};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use shared::auth::{Access, Admission};
use shared::clock;
use shared::config::{CorsConfig, DatabaseRole, RateLimitConfig, TelecomConfig};
use shared::domain::webhook::url::Receivers;
use shared::http::nodes::Nodes;
use shared::http::{Endpoint, Registered, endpoint_for, endpoints};
use shared::lambda::{alb, api};
use shared::services::Operation as _;
use shared::services::analysis::AnalysisService;
use shared::services::manage::ManageService;
use sqlx::PgPool;
use tonic::transport::Channel;
use tonic::{Code, Status};

use crate::grpc::{self, GrpcServer};
use crate::token::Issuer;
use crate::{World, webhook};

/// An API operation on both transports, with a request that succeeds and changes nothing.
#[derive(Debug, Clone, Copy)]
pub struct Operation {
    /// `telecom.v1.Service/Method`.
    pub method: &'static str,
    pub path: &'static str,
    /// The path with `{id}` in place of an id.
    pub template: &'static str,
    /// A valid query string.
    pub query: &'static str,
    /// The same request as a JSON message.
    pub message: &'static str,
    /// Whether the operation requires the administrator's scope.
    pub admin: bool,
    /// Whether the operation requires the scope to change something.
    pub changes: bool,
    pub verb: &'static str,
    /// JSON body of the HTTP request. `None` if it has none.
    pub body: Option<&'static str>,
    /// Headers that the request needs beside the token, on both transports.
    pub headers: &'static [(&'static str, &'static str)],
    /// HTTP status of the response.
    pub status: u16,
}

/// All operations, from the list of endpoints.
pub static OPERATIONS: LazyLock<Vec<Operation>> =
    LazyLock::new(|| endpoints().iter().map(Operation::of).collect());

/// The operation that sets the maintenance of a server.
pub static MAINTENANCE: LazyLock<Operation> = LazyLock::new(|| {
    let named = |operation: &&Operation| operation.path.ends_with("/maintenance");
    *OPERATIONS.iter().find(named).unwrap()
});

impl Operation {
    fn of(endpoint: &Registered) -> Self {
        // The first client of the world has the id 11.
        let id = if endpoint.rpc == "ShowNodeClient" {
            11
        } else {
            1
        };
        let keep = |text: String| -> &'static str { text.leak() };
        Self {
            method: keep(grpc::method_named(endpoint.rpc)),
            path: keep(endpoint.example_path(id)),
            template: endpoint.path,
            query: endpoint.example.query,
            message: keep(endpoint.example_message(id).unwrap().to_string()),
            admin: endpoint.access != Access::User,
            changes: endpoint.method != "GET",
            verb: keep(endpoint.method.to_string()),
            body: endpoint.example.body,
            headers: endpoint.example_headers().leak(),
            status: endpoint.example.status,
        }
    }
}

impl Operation {
    /// The operation's request as the load balancer sends it.
    #[must_use]
    pub fn event(&self, query: &str, token: Option<&str>) -> Value {
        let mut event = event(self.verb, self.path, query, token, self.headers);
        if let Some(body) = self.body {
            event["multiValueHeaders"]["content-type"] = json!(["application/json"]);
            event["body"] = json!(body);
        }
        event
    }

    /// The gRPC code of the response to the example.
    #[must_use]
    pub fn code(&self) -> Code {
        match self.status {
            200 => Code::Ok,
            400 => Code::InvalidArgument,
            404 => Code::NotFound,
            other => panic!("no gRPC code is known for {other}"),
        }
    }

    /// A call of the operation over gRPC.
    #[must_use]
    pub fn call(&self, message: Value, token: Option<&str>) -> tonic::Request<Value> {
        let mut request = tonic::Request::new(message);
        if let Some(token) = token {
            let bearer = format!("Bearer {token}");
            request
                .metadata_mut()
                .insert("authorization", bearer.parse().unwrap());
        }
        for (name, value) in self.headers {
            request.metadata_mut().insert(*name, value.parse().unwrap());
        }
        request
    }
}

/// The APIs of a world and the issuer of their tokens.
#[derive(Debug)]
pub struct Api {
    pub world: World,
    /// Signs the tokens that the APIs accept.
    pub issuer: Issuer,
    /// Admits the calls over HTTP.
    admission: Admission,
    server: Option<(GrpcServer, Channel)>,
}

impl Api {
    #[must_use]
    pub fn over_http(world: World) -> Self {
        let issuer = Issuer::default();
        let admission = issuer.admission(world.context(), RateLimitConfig::OFF);
        Self {
            world,
            issuer,
            admission,
            server: None,
        }
    }

    pub async fn over_both(world: World, issuer: Issuer) -> Self {
        Self::limited(world, issuer, RateLimitConfig::OFF).await
    }

    /// APIs over both transports, each of which limits the calls of a user.
    pub async fn limited(world: World, issuer: Issuer, limit: RateLimitConfig) -> Self {
        let admission = || issuer.admission(world.context(), limit);
        let server = GrpcServer::admitting(&world, admission(), grpc::config()).await;
        let channel = server.connect().await;
        Self {
            admission: admission(),
            world,
            issuer,
            server: Some((server, channel)),
        }
    }

    /// Calls an operation with a message given as JSON, and with the metadata that it needs.
    pub async fn call(
        &self,
        operation: &Operation,
        message: Value,
        token: Option<&str>,
    ) -> Result<Value, Status> {
        let request = operation.call(message, token);
        self.grpc_with(operation.method, request).await
    }

    /// Calls a method with a message given as JSON.
    pub async fn grpc(
        &self,
        method: &str,
        message: Value,
        token: Option<&str>,
    ) -> Result<Value, Status> {
        let (_, channel) = self.server.as_ref().expect("an API over both");
        grpc::call(channel, method, message, token).await
    }

    /// Calls a method with a message given as JSON, and with metadata.
    pub async fn grpc_with(
        &self,
        method: &str,
        request: tonic::Request<Value>,
    ) -> Result<Value, Status> {
        let (_, channel) = self.server.as_ref().expect("an API over both");
        grpc::call_with(channel, method, request).await
    }

    /// Sends a `GET` request and returns status and body.
    pub async fn get(&self, path: &str, query: &str, token: Option<&str>) -> (u16, Value) {
        let response = self.send(event("GET", path, query, token, &[])).await;
        let body = response.body().to_vec();
        (
            response.status().as_u16(),
            serde_json::from_slice(&body).unwrap_or(Value::Null),
        )
    }

    /// Sends an operation's request, by its method, and returns status and body.
    pub async fn ask(
        &self,
        operation: &Operation,
        query: &str,
        token: Option<&str>,
    ) -> (u16, Value) {
        let response = self.send(operation.event(query, token)).await;
        (
            response.status().as_u16(),
            serde_json::from_slice(response.body()).unwrap_or(Value::Null),
        )
    }

    /// Sends a `PUT` request and returns status and body.
    pub async fn put(
        &self,
        path: &str,
        query: &str,
        body: &str,
        token: Option<&str>,
    ) -> (u16, Value) {
        let mut event = event(
            "PUT",
            path,
            query,
            token,
            &[("content-type", "application/json")],
        );
        event["body"] = json!(body);
        let response = self.send(event).await;
        (
            response.status().as_u16(),
            serde_json::from_slice(response.body()).unwrap_or(Value::Null),
        )
    }

    /// Sends a change as an administrator, with a JSON body, and returns status and body.
    pub async fn change(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &Value,
    ) -> (u16, Value) {
        let mut event = event(method, path, "", Some(&self.issuer.admin()), headers);
        event["body"] = json!(body.to_string());
        let response = self.send(event).await;
        let body = serde_json::from_slice(response.body()).unwrap_or(Value::Null);
        (response.status().as_u16(), body)
    }

    /// Calls a method that changes something as an administrator, with a message given as JSON.
    pub async fn change_over_grpc(
        &self,
        method: &str,
        metadata: &[(&'static str, &str)],
        message: &Value,
    ) -> Result<Value, Status> {
        let mut request = tonic::Request::new(message.clone());
        let bearer = format!("Bearer {}", self.issuer.admin());
        let fields = metadata.iter().copied();
        for (name, value) in fields.chain([("authorization", bearer.as_str())]) {
            request.metadata_mut().insert(name, value.parse().unwrap());
        }
        self.grpc_with(method, request).await
    }

    /// Passes an event to the function that the load balancer's rules select for its path.
    pub async fn send(&self, event: Value) -> Response<Body> {
        let path = event["path"].as_str().unwrap().to_owned();
        let request = lambda_http::request::from_str(&event.to_string()).unwrap();
        self.route(&path, request).await
    }

    /// Passes an event to the function including its CORS layer, which allows `https://app.test`,
    /// and returns the response for the load balancer.
    pub async fn invoke(&self, event: Value) -> Value {
        let path = event["path"].as_str().unwrap_or_default().to_owned();
        let allowed_origins = vec!["https://app.test".parse().unwrap()];
        let service = service_fn(|request: Request| async {
            Ok::<_, Infallible>(self.route(&path, request).await)
        });
        let service = api::cors(&CorsConfig { allowed_origins }).layer(service);
        let payload = RawValue::from_string(event.to_string()).unwrap();
        let answer = alb::handle(service, LambdaEvent::new(payload, Context::default())).await;
        serde_json::to_value(answer).unwrap()
    }

    fn pool(&self, role: DatabaseRole) -> &PgPool {
        match role {
            DatabaseRole::Reader => &self.world.reader,
            DatabaseRole::SecretReader => &self.world.secret_reader,
            DatabaseRole::Writer => &self.world.writer,
            DatabaseRole::Node => &self.world.node,
            DatabaseRole::Api => &self.world.api,
        }
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
        if ["/docs", "/v1/openapi.json"].contains(&path) {
            return api::document(&request);
        }
        // A path trick may reach any function. This one requires the least access.
        self.serve::<Nodes>(request).await
    }

    /// Calls the function of an endpoint. The future is boxed here, so that [`Self::route`] does
    /// not contain the futures of all endpoints, which would not fit the stack of a test.
    fn serve<E>(
        &self,
        request: Request,
    ) -> Pin<Box<dyn Future<Output = Response<Body>> + Send + '_>>
    where
        E: Endpoint<Service: Served + 'static>,
    {
        let pool = self.pool(E::Input::DATABASE_ROLE).clone();
        let service = E::Service::over(pool, self.world.context());
        Box::pin(async move { api::handle::<E>(&service, &self.admission, request).await })
    }
}

/// A service that a test can build.
trait Served {
    fn over(pool: PgPool, context: clock::Context) -> Self;
}

impl Served for AnalysisService {
    fn over(pool: PgPool, context: clock::Context) -> Self {
        Self::new(pool, context)
    }
}

impl Served for ManageService {
    fn over(pool: PgPool, context: clock::Context) -> Self {
        let service = Self::new(pool, context, TelecomConfig::default());
        service.with_webhooks(webhook::setup(Receivers::Public))
    }
}

/// An event as a target group with multi-value headers creates it. Query values stay escaped.
#[must_use]
pub fn event(
    method: &str,
    path: &str,
    query: &str,
    token: Option<&str>,
    headers: &[(&str, &str)],
) -> Value {
    let mut all =
        json!({ "accept": ["*/*"], "host": ["api.test"], "x-forwarded-proto": ["https"] });
    if let Some(token) = token {
        all["authorization"] = json!([format!("Bearer {token}")]);
    }
    for (name, value) in headers {
        all[name] = json!([value]);
    }
    let mut parameters = json!({});
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        match parameters[name].as_array_mut() {
            Some(values) => values.push(json!(value)),
            None => parameters[name] = json!([value]),
        }
    }
    json!({
        "requestContext": { "elb": {
            "targetGroupArn": "arn:aws:elasticloadbalancing:us-east-1:1:targetgroup/t/1" } },
        "httpMethod": method,
        "path": path,
        "multiValueQueryStringParameters": parameters,
        "multiValueHeaders": all,
        "body": "",
        "isBase64Encoded": false
    })
}
