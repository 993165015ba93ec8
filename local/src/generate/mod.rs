//! Files that are generated from the list of endpoints: the API documentation, the endpoints' parts
//! of the templates, and their example events. A test compares the committed files.

mod page;

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use hyper::{Method, Request};
use serde_json::Value;
use shared::auth::Access;
use shared::config::DatabaseRole;
use shared::http::{Registered, endpoints, openapi};

use crate::emulator::load_balancer;

const FUNCTION: &str = include_str!("function.yaml");
const ROUTE: &str = include_str!("route.yaml");
/// What a function needs that encrypts the secrets of webhooks.
const WEBHOOK_VARIABLES: &str = "          \
TELECOM_WEBHOOK_KEY_SECRET_ARN: !If [HasWebhooks, !Ref WebhookKey, \"\"]
          TELECOM_WEBHOOK_RECEIVERS: !If [OnAws, public, any]
";
const WEBHOOK_PERMISSION: &str = "              - \
{Effect: Allow, Action: secretsmanager:GetSecretValue, Resource: !Ref WebhookKey}
";

#[derive(Debug)]
pub struct Generated {
    /// Path from the root of the repository.
    pub path: String,
    pub content: String,
}

/// Generates all files. Reads the templates in `root` for the parts that are written by hand.
pub fn files(root: &Path) -> Result<Vec<Generated>> {
    let endpoints = endpoints();
    let read = |path: &str| {
        fs::read_to_string(root.join(path)).with_context(|| format!("Cannot read {path}"))
    };
    let document = openapi::document();
    let template = template(&read("template.yaml")?, &endpoints)?;
    let edge = edge(&read("stacks/edge.yaml")?, &endpoints)?;
    let mut files = vec![
        generated("docs/openapi.json", format!("{document:#}\n")),
        generated("docs/openapi.html", page::render(&document)),
        generated("template.yaml", template),
        generated("stacks/edge.yaml", edge),
    ];
    for endpoint in &endpoints {
        let path = format!("events/{}.json", endpoint.function());
        let event = event(endpoint, "TOKEN")?;
        files.push(generated(path, format!("{event:#}\n")));
    }
    Ok(files)
}

fn generated(path: impl Into<String>, content: String) -> Generated {
    let path = path.into();
    Generated { path, content }
}

/// Writes all files below `root`.
pub fn write(root: &Path) -> Result<()> {
    for Generated { path, content } in files(root)? {
        fs::write(root.join(&path), content).with_context(|| format!("Cannot write {path}"))?;
    }
    Ok(())
}

fn template(text: &str, endpoints: &[Registered]) -> Result<String> {
    let functions = endpoints
        .iter()
        .map(|endpoint| fill(FUNCTION, endpoint, endpoints));
    let text = with_part(text, "functions", &functions.collect::<Vec<_>>().join("\n"))?;
    let argument =
        |e: &Registered| format!("        {0}FunctionArn: !GetAtt {0}Function.Arn\n", e.rpc);
    let arguments: String = endpoints.iter().map(argument).collect();
    with_part(&text, "arguments", &arguments)
}

fn edge(text: &str, endpoints: &[Registered]) -> Result<String> {
    let parameter = |e: &Registered| format!("  {}FunctionArn:\n    Type: String\n", e.rpc);
    let parameters: String = endpoints.iter().map(parameter).collect();
    let routes = endpoints
        .iter()
        .map(|endpoint| fill(ROUTE, endpoint, endpoints));
    let text = with_part(text, "parameters", &parameters)?;
    with_part(&text, "routes", &routes.collect::<String>())
}

/// Replaces the lines between the comments that mark a generated part.
fn with_part(text: &str, part: &str, lines: &str) -> Result<String> {
    let begin = format!("# begin of generated {part} (make generate)\n");
    let end = format!("# end of generated {part}\n");
    let missing = || format!("The comments that mark the generated {part} are missing");
    let (before, rest) = text.split_once(&begin).with_context(missing)?;
    let (old, after) = rest.split_once(&end).with_context(missing)?;
    // The indentation before the comment at the end.
    let indent = old.rsplit('\n').next().unwrap_or_default();
    Ok(format!("{before}{begin}{lines}{indent}{end}{after}"))
}

fn fill(block: &str, endpoint: &Registered, all: &[Registered]) -> String {
    let method = &endpoint.method;
    let method_condition = if endpoint.has_method_rule(all) {
        format!(", {{Field: http-request-method, HttpRequestMethodConfig: {{Values: [{method}]}}}}")
    } else {
        String::new()
    };
    let database_role: &'static str = endpoint.database_role.into();
    let role = match endpoint.database_role {
        DatabaseRole::Reader => "Reader",
        DatabaseRole::SecretReader => "SecretReader",
        DatabaseRole::Writer => "Writer",
        DatabaseRole::Node => "Node",
        DatabaseRole::Api => "Api",
    };
    // Users read often, and change something rarely.
    let concurrency = match (endpoint.access, &endpoint.method) {
        (Access::User, &Method::GET) => "ApiConcurrency",
        _ => "AdminApiConcurrency",
    };
    let of_webhooks = |text: &'static str| if endpoint.uses_webhook_key { text } else { "" };
    block
        .replace("{webhook_variables}", of_webhooks(WEBHOOK_VARIABLES))
        .replace("{webhook_permission}", of_webhooks(WEBHOOK_PERMISSION))
        .replace("{Name}", endpoint.rpc)
        .replace("{name}", &endpoint.function())
        .replace("{role}", role)
        .replace("{database_role}", database_role)
        .replace("{concurrency}", concurrency)
        .replace("{priority}", &endpoint.rule_priority.to_string())
        .replace("{method_condition}", &method_condition)
        .replace("{pattern}", &endpoint.path.replace("{id}", "*"))
}

/// The example request of an endpoint, as the load balancer passes it to the function.
pub fn event(endpoint: &Registered, token: &str) -> Result<Value> {
    let body = endpoint.example.body.unwrap_or_default();
    let path = endpoint.example_path(1);
    let mut request = Request::builder()
        .method(endpoint.method.clone())
        .uri(format!("{path}?{}", endpoint.example.query).trim_end_matches('?'))
        .header("accept", "application/json")
        .header("accept-encoding", "gzip, deflate, br")
        .header("authorization", format!("Bearer {token}"))
        .header("host", "api.example.com")
        .header("user-agent", "curl/8.5.0")
        .header(
            "x-amzn-trace-id",
            "Root=1-69aff2f8-2c7d1a4b6e5f3a9d0b8c7e61",
        )
        .header("x-forwarded-for", "203.0.113.7")
        .header("x-forwarded-port", "443")
        .header("x-forwarded-proto", "https");
    for (name, value) in endpoint.example_headers() {
        request = request.header(name, value);
    }
    if !body.is_empty() {
        request = request
            .header("content-type", "application/json")
            .header("content-length", body.len());
    }
    Ok(load_balancer::event(&request.body(body.into())?))
}
