//! One request of any operation, over either transport.

use prost_reflect::{Kind, MessageDescriptor};
use serde_json::{Map, Value, json};
use shared::http::{Registered, endpoint_for, endpoints};
use tonic::metadata::MetadataKey;
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::api::{Api, event};
use crate::grpc;
use crate::plain::plain;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    Http,
    Grpc,
}

pub const TRANSPORTS: [Transport; 2] = [Transport::Http, Transport::Grpc];

/// A request as a client of the HTTP API writes it.
#[derive(Debug, Clone)]
pub struct Request {
    pub method: String,
    pub path: String,
    pub query: String,
    /// Headers beside the token.
    pub headers: Vec<(String, String)>,
    /// JSON body. `None` if the request has none.
    pub body: Option<Value>,
}

/// A refused request: the status of the transport, and the stable code of the error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    pub status: RefusalStatus,
    pub code: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusalStatus {
    Http(u16),
    Grpc(Code),
}

impl Api {
    /// Sends a request over a transport. Returns the response in the form that both have.
    pub async fn request(
        &self,
        transport: Transport,
        request: &Request,
        token: &str,
    ) -> Result<Value, Refusal> {
        match transport {
            Transport::Http => self.request_over_http(request, token).await,
            Transport::Grpc => self.request_over_grpc(request, token).await,
        }
    }

    async fn request_over_http(&self, request: &Request, token: &str) -> Result<Value, Refusal> {
        let headers: Vec<(&str, &str)> = request
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        let (method, path, query) = (&request.method, &request.path, &request.query);
        let mut event = event(method, path, query, Some(token), &headers);
        if let Some(body) = &request.body {
            event["body"] = json!(body.to_string());
        }
        let response = self.send(event).await;
        let body: Value = serde_json::from_slice(response.body()).unwrap_or_default();
        match response.status().as_u16() {
            200 => Ok(plain(body)),
            status => Err(Refusal {
                status: RefusalStatus::Http(status),
                code: body["code"].as_str().unwrap_or_default().to_owned(),
            }),
        }
    }

    async fn request_over_grpc(&self, request: &Request, token: &str) -> Result<Value, Refusal> {
        let endpoint = request.endpoint();
        let mut call = tonic::Request::new(request.message(&endpoint));
        let bearer = ("authorization".to_owned(), format!("Bearer {token}"));
        for (name, value) in request.headers.iter().chain([&bearer]) {
            let key = MetadataKey::from_bytes(name.as_bytes()).unwrap();
            call.metadata_mut().insert(key, value.parse().unwrap());
        }
        let method = grpc::method_named(endpoint.rpc);
        let response = self.grpc_with(&method, call).await;
        response.map(plain).map_err(|status| Refusal {
            code: reason(&status),
            status: RefusalStatus::Grpc(status.code()),
        })
    }
}

fn reason(status: &Status) -> String {
    let info = status.get_details_error_info();
    info.map(|info| info.reason).unwrap_or_default()
}

impl Request {
    /// The operation that the request calls.
    #[must_use]
    pub fn endpoint(&self) -> Registered {
        let method = self.method.parse().unwrap();
        let all = endpoints();
        let found = endpoint_for(&all, &method, &self.path);
        let found = found.filter(|found| found.method == method);
        found
            .unwrap_or_else(|| panic!("no operation is {} {}", self.method, self.path))
            .clone()
    }

    /// The id in the path. `None` if the path has none.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        let template = self.endpoint().path;
        let place = template.split('/').position(|segment| segment == "{id}")?;
        self.path.split('/').nth(place)
    }

    /// The same request as a message in the JSON of protobuf.
    fn message(&self, endpoint: &Registered) -> Value {
        let input = grpc::method_descriptor(endpoint.rpc).input();
        let has = |name: &str| input.get_field_by_name(name).is_some();
        let mut fields = match &self.body {
            Some(patch) if has("patch") => Map::from_iter([("patch".to_owned(), patch.clone())]),
            Some(Value::Object(body)) => body.clone(),
            _ => Map::new(),
        };
        if let Some(id) = self.id() {
            let name = if has("order_id") { "order_id" } else { "id" };
            fields.insert(name.to_owned(), json!(id));
        }
        for pair in self.query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap();
            let name = if has(name) {
                name.to_owned()
            } else {
                format!("filter_{name}")
            };
            fields.insert(name, json!(value));
        }
        for (name, value) in &mut fields {
            name_enumeration(&input, name, value);
        }
        fields.into()
    }
}

/// Replaces the name of an enumeration's value over HTTP, such as `day`, by that of protobuf.
fn name_enumeration(input: &MessageDescriptor, field: &str, value: &mut Value) {
    let field = input.get_field_by_name(field);
    if let Some(Kind::Enum(enumeration)) = field.map(|field| field.kind())
        && let Some(name) = value.as_str()
    {
        let ending = format!("_{}", name.to_uppercase());
        let mut names = enumeration.values().map(|value| value.name().to_owned());
        *value = json!(names.find(|name| name.ends_with(&ending)).unwrap());
    }
}
