//! HTTP endpoints, the parsing of requests, and the writing of responses and problems.
//!
//! A new endpoint implements [`Endpoint`] and is listed in `registry.rs`, which the OpenAPI
//! document, the tests and the local load balancer read.

pub mod analytics;
pub mod doubtful_pushes;
pub mod node_access;
pub mod node_clients;
pub mod node_servers;
pub mod node_status_history;
pub mod nodes;
pub mod online;
pub mod openapi;
pub mod operations;
pub mod orders;
pub mod package_queue;
pub mod packages;
pub mod parameter;
pub mod problem;
pub mod quarantined_reports;
mod registry;
pub mod request;
pub mod response;
pub mod traffic_usage;
pub mod usage_drifts;
pub mod usage_explanation;
pub mod usually_used_nodes;
pub mod webhooks;

pub use registry::{Registered, allowed_methods, endpoint_for, endpoints};

use http::Method;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Serialize;
use serde_json::Value;

use crate::error::Error;
use crate::services::{Operation, Processor};
use parameter::{Kind, Parameter};
use request::ApiRequest;

/// The output of an endpoint's processor.
pub type Output<E> = <<E as Endpoint>::Service as Processor<<E as Endpoint>::Input>>::Output;

/// What an endpoint can return as JSON and describe by a schema.
pub trait ResponseBody: Serialize + JsonSchema + Send + Sync {}

impl<T: Serialize + JsonSchema + Send + Sync> ResponseBody for T {}

/// An operation over HTTP. Converts a request into the input of a processor.
pub trait Endpoint {
    /// The service that processes the input.
    type Service: Processor<Self::Input, Output: ResponseBody> + Send + Sync;
    /// The input of the processor.
    type Input: Operation + Send;
    /// HTTP method. `GET` by default.
    const METHOD: Method = Method::GET;
    /// Path, in which `{id}` is a placeholder for an id.
    const PATH: &'static str;
    /// Accepted values of the `{id}`.
    const ID: Kind = parameter::ID;
    /// Priority of the load balancer's rule that leads to the function. If two paths match, the
    /// lower number is selected. A number must not change, because the load balancer refuses a
    /// number that another rule has until that rule is updated.
    const RULE_PRIORITY: u16;
    /// What the endpoint does, in a few words, for the OpenAPI document.
    const SUMMARY: &'static str;
    /// Query parameters. Unknown ones are rejected.
    const PARAMETERS: &'static [Parameter] = &[];
    /// Schema of the JSON body of a request. `None` if a request has no body.
    const BODY: Option<fn(&mut SchemaGenerator) -> Schema> = None;
    /// A request that succeeds.
    const EXAMPLE: Example = Example::DEFAULT;
    /// The CSV representation. `None` if the endpoint has none.
    const CSV: Option<Csv> = None;

    /// Converts the parameters and the body of a request into the input.
    fn input(request: &ApiRequest<'_>) -> Result<Self::Input, Error>;

    /// The revision of the resource in a response, which an update requires in `if-match`. `None`
    /// if it has none.
    #[must_use]
    fn revision(_: &Output<Self>) -> Option<i64> {
        None
    }

    /// The items that become rows of the CSV representation, as JSON objects.
    fn csv_items(output: &Output<Self>) -> Result<Vec<Value>, Error> {
        let mut output = serde_json::to_value(output).map_err(Error::internal)?;
        let list = Self::CSV.and_then(|csv| output.get_mut(csv.list));
        match list.map(Value::take) {
            Some(Value::Array(items)) => Ok(items),
            _ => Err(Error::internal(
                "the response has no list for the CSV representation",
            )),
        }
    }
}

/// The CSV representation of a response: one row per item of a list.
#[derive(Debug, Clone, Copy)]
pub struct Csv {
    /// The field of the response that contains the list.
    pub list: &'static str,
    /// Names of the columns, separated by commas. A column is a field of an item, or of an object
    /// in an item.
    pub header: &'static str,
}

impl Csv {
    fn columns(self) -> impl Iterator<Item = &'static str> {
        self.header.split(',')
    }

    /// The row of an item. Cells contain the same text as the JSON representation.
    fn row(self, item: &Value) -> impl Iterator<Item = String> {
        self.columns().map(move |name| {
            let nested = || item.as_object()?.values().find_map(|value| value.get(name));
            cell(item.get(name).or_else(nested).unwrap_or(&Value::Null))
        })
    }
}

/// The schema of a JSON merge patch (RFC 7396) of `T`. No field is required.
#[must_use]
pub fn merge_patch<T: JsonSchema>(schemas: &mut SchemaGenerator) -> Schema {
    let mut schema = T::json_schema(schemas);
    schema.remove("required");
    schema
}

/// A merge patch of a node server or a node client that does not exist.
const PATCH_OF_UNKNOWN_NODE: Example = Example {
    body: Some(r#"{"name":"example"}"#),
    message: r#"{"patch":{"name":"example"}}"#,
    id: Some(parameter::UNKNOWN_NODE),
    status: 404,
    ..Example::DEFAULT
};

/// The variable parts of a request that changes nothing that the demo uses. The events in
/// `events/`, the tests and the benchmarks send it.
#[derive(Debug, Clone, Copy)]
pub struct Example {
    /// Query string over HTTP.
    pub query: &'static str,
    /// JSON body over HTTP. `None` if the endpoint has none.
    pub body: Option<&'static str>,
    /// The gRPC request in the JSON of protobuf, without an `id` that is a number in the path.
    pub message: &'static str,
    /// The `{id}` of the path. `None` for the id of the first resource.
    pub id: Option<&'static str>,
    /// HTTP status of the response, 200 unless the example would change what the demo uses.
    pub status: u16,
}

impl Example {
    /// A request without parameters.
    pub const DEFAULT: Self = Self {
        query: "",
        body: None,
        message: "{}",
        id: None,
        status: 200,
    };
}

/// Text of a CSV cell. Empty for `null`. The elements of an array are separated by spaces.
fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(elements) => elements.iter().map(cell).collect::<Vec<_>>().join(" "),
        // As text, 1.0 is `1`.
        Value::Number(number) if number.is_f64() => number.as_f64().unwrap_or_default().to_string(),
        other => other.to_string(),
    }
}
