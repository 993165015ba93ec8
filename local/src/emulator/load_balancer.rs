//! A load balancer in front of functions, for an emulator that has none. It turns a request into
//! the event that AWS's load balancer would send, and the function's response into an HTTP
//! response. The routes come from the list of endpoints.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context, Result};
use aws_lambda_events::alb::AlbTargetGroupResponse;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::{Method, Request, Response};
use serde_json::{Map, Value, json};
use shared::http::{Registered, endpoint_for, endpoints};

use crate::loopback::http_server::{Answer, Server, reply, serve};
use crate::loopback::{Background, background};

/// The functions for nodes, and the beginnings of their paths.
const NODES: [(&str, &str); 4] = [
    ("uniproxy", "/api/v1/server/UniProxy/"),
    ("uniproxy", "/api/v2/server/"),
    ("mod-mu", "/mod_mu/"),
    ("push-usage-report", "/v1/usage-reports"),
];

/// Invokes the function with this package name and returns its response.
pub type Invoke = Arc<dyn Fn(&str, Value) -> Result<Value> + Send + Sync>;

const TARGET_GROUP: &str =
    "arn:aws:elasticloadbalancing:us-east-1:000000000000:targetgroup/local/0";

/// The function that serves the files of the console, and the beginning of their paths.
const CONSOLE: (&str, &str) = ("show-console", "/console/");

/// Functions that serve no operation, and their whole paths.
const PATHS: [(&str, &str); 3] = [
    ("show-console", "/console"),
    ("show-api-documentation", "/docs"),
    ("show-api-documentation", "/v1/openapi.json"),
];

/// A running load balancer. Dropping it stops it.
#[derive(Debug)]
pub struct LoadBalancer {
    pub address: SocketAddr,
    _runtime: Background,
}

impl LoadBalancer {
    /// Serves on `port` of 127.0.0.1, or on a free port if it is 0.
    pub fn start(port: u16, invoke: Invoke) -> Result<Self> {
        let runtime = background()?;
        Ok(Self {
            address: runtime.block_on(serve(Balancer { invoke }, port))?,
            _runtime: runtime,
        })
    }
}

#[derive(Clone)]
struct Balancer {
    invoke: Invoke,
}

impl Server for Balancer {
    const FOR_PAGES: bool = true;

    async fn answer(&self, request: Request<Bytes>) -> Result<Answer> {
        let Some(function) = function_for(request.method(), request.uri().path()) else {
            return reply(404, r#"{"status":404,"code":"not_found"}"#);
        };
        let (event, invoke) = (event(&request), Arc::clone(&self.invoke));
        let invoked = tokio::task::spawn_blocking(move || invoke(&function, event)).await?;
        match invoked.and_then(response) {
            Ok(response) => Ok(response),
            Err(error) => reply(502, format!("{error:#}\n")),
        }
    }
}

/// Name of the function to which the load balancer's rules lead a request. `None` if no rule
/// matches.
fn function_for(method: &Method, path: &str) -> Option<String> {
    let whole = PATHS.iter().find(|(_, whole)| path == *whole);
    let mut beginnings = NODES.iter().chain([&CONSOLE]);
    let beginning = || beginnings.find(|(_, start)| path.starts_with(start));
    if let Some((function, _)) = whole.or_else(beginning) {
        return Some((*function).to_owned());
    }
    endpoint_for(&endpoints(), method, path).map(Registered::function)
}

/// The event has multi-value headers and parameters, because the template enables them for its
/// target groups.
pub(crate) fn event(request: &Request<Bytes>) -> Value {
    let uri = request.uri();
    let text =
        |value: &hyper::header::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let headers = request.headers();
    let headers: Map<String, Value> = headers
        .keys()
        .map(|name| {
            let values: Vec<_> = headers.get_all(name).iter().map(text).collect();
            (name.to_string(), values.into())
        })
        .collect();
    let body = std::str::from_utf8(request.body());
    json!({
        "requestContext": {"elb": {"targetGroupArn": TARGET_GROUP}},
        "httpMethod": request.method().as_str(),
        "path": uri.path(),
        "multiValueQueryStringParameters": parameters(uri.query().unwrap_or_default()),
        "multiValueHeaders": headers,
        "body": body.map_or_else(|_| BASE64_STANDARD.encode(request.body()), str::to_owned),
        "isBase64Encoded": body.is_err(),
    })
}

/// The load balancer does not decode parameters.
fn parameters(query: &str) -> Map<String, Value> {
    let mut parameters = Map::new();
    for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        if let Some(values) = parameters
            .entry(name)
            .or_insert_with(|| json!([]))
            .as_array_mut()
        {
            values.push(value.into());
        }
    }
    parameters
}

fn response(answer: Value) -> Result<Answer> {
    let text = answer.to_string();
    let answer: AlbTargetGroupResponse = serde_json::from_value(answer)
        .with_context(|| format!("The function's response is not a load balancer's: {text}"))?;
    let status = u16::try_from(answer.status_code)
        .context("The function's response has an invalid status")?;
    let mut response = Response::builder().status(status);
    if let Some(headers) = response.headers_mut() {
        *headers = answer.multi_value_headers;
    }
    let body = answer.body.map(|body| body.to_vec()).unwrap_or_default();
    let decoded = if answer.is_base64_encoded {
        BASE64_STANDARD.decode(body)?
    } else {
        body
    };
    Ok(response.body(Full::new(decoded.into()))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_documented_path_is_routed_to_an_existing_function() {
        let mut requests: Vec<(Method, String)> = endpoints()
            .iter()
            .map(|endpoint| (endpoint.method.clone(), endpoint.example_path(1)))
            .collect();
        let documentation = ["/docs", "/v1/openapi.json"];
        requests.extend(documentation.map(|path| (Method::GET, path.to_owned())));
        for (method, path) in requests {
            let function = function_for(&method, &path).unwrap();
            let binary = crate::settings::repository()
                .join("functions/api/src/bin")
                .join(format!("{function}.rs"));
            assert!(binary.is_file(), "{path}: {function}");
        }
    }

    #[test]
    fn paths_of_nodes_lead_to_the_functions_for_nodes() {
        let path = "/api/v1/server/UniProxy/user";
        assert_eq!(function_for(&Method::GET, path).unwrap(), "uniproxy");
        let path = "/mod_mu/users/traffic";
        assert_eq!(function_for(&Method::POST, path).unwrap(), "mod-mu");
        let functions = crate::settings::repository().join("functions/node/src/bin");
        for (function, _) in NODES {
            assert!(functions.join(format!("{function}.rs")).is_file());
        }
    }

    #[test]
    fn paths_are_matched_as_a_whole() {
        let get = |path| function_for(&Method::GET, path);
        assert_eq!(get("/v1/nodes").unwrap(), "list-nodes");
        assert_eq!(get("/v1/admin/node-servers/7").unwrap(), "show-node-server");
        let counts = get("/v1/admin/package-queue/counts").unwrap();
        assert_eq!(counts, "count-queued-packages");
        for unknown in [
            "/",
            "/v1/nodes/",
            "/v1/nodes/1",
            "/v1/admin/node-servers/7/x",
            "/v2/nodes",
        ] {
            assert_eq!(get(unknown), None, "{unknown}");
        }
    }

    #[test]
    fn on_a_shared_path_the_method_selects_the_function() {
        let path = "/v1/admin/node-servers";
        assert_eq!(
            function_for(&Method::GET, path).unwrap(),
            "list-node-servers"
        );
        assert_eq!(
            function_for(&Method::POST, path).unwrap(),
            "create-node-server"
        );
        assert_eq!(
            function_for(&Method::DELETE, path).unwrap(),
            "list-node-servers"
        );
    }

    #[test]
    fn events_keep_repeated_parameters_and_headers_and_binary_bodies() {
        let request = Request::put("/v1/nodes?a=1&a=%20&b")
            .header("x", "1")
            .header("x", "2")
            .body(Bytes::from_static(&[0xff, 0x00]))
            .unwrap();
        let event = event(&request);
        assert_eq!(
            event["multiValueQueryStringParameters"],
            json!({"a": ["1", "%20"], "b": [""]})
        );
        assert_eq!(event["multiValueHeaders"], json!({"x": ["1", "2"]}));
        assert_eq!(
            (
                &event["httpMethod"],
                &event["body"],
                &event["isBase64Encoded"]
            ),
            (&json!("PUT"), &json!("/wA="), &json!(true))
        );
    }

    #[test]
    fn an_invalid_response_of_a_function_is_an_error() {
        let refused = response(json!({"errorMessage": "broken"}))
            .unwrap_err()
            .to_string();
        assert!(refused.contains("broken"), "{refused}");
        let taken =
            response(json!({"statusCode": 200, "multiValueHeaders": {"etag": ["a"]}, "body": "x"}))
                .unwrap();
        assert_eq!(
            (
                taken.status().as_u16(),
                taken.headers()["etag"].to_str().unwrap()
            ),
            (200, "a")
        );
    }
}
