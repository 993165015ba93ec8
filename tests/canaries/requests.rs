//! Events of the load balancer with canaries.

use serde_json::{Value, json};
use telecom_tests::api::{OPERATIONS, Operation, event};
use telecom_tests::token::Issuer;

use super::plant::{CANARY, bodies, signed, tokens};

const HEADERS: [&str; 12] = [
    "x-request-id",
    "traceparent",
    "x-amzn-trace-id",
    "user-agent",
    "accept",
    "if-none-match",
    "origin",
    "cookie",
    "content-type",
    "referer",
    "x-forwarded-for",
    CANARY,
];
const PARAMETERS: [&str; 11] = [
    "range",
    "time_zone",
    "start",
    "end",
    "limit",
    "offset",
    "status",
    "server_id",
    "user",
    "reveal_secrets",
    CANARY,
];

/// Requests of every operation, and requests of none.
pub fn http_events(issuer: &Issuer) -> Vec<Value> {
    let admin = issuer.admin_with_secrets();
    let tokens = [tokens(), signed(issuer)].concat();
    let of_operations = OPERATIONS
        .iter()
        .flat_map(|operation| of_operation(operation, &admin, &tokens));
    of_operations.chain(of_no_operation(&admin)).collect()
}

/// A request with a canary in every header.
fn asked(method: &str, path: &str, query: &str, token: Option<&str>) -> Value {
    let headers = HEADERS.map(|name| (name, CANARY));
    event(method, path, query, token, &headers)
}

/// Requests with a canary in each parameter, the method, the path, the token and the body.
fn of_operation(operation: &Operation, admin: &str, tokens: &[String]) -> Vec<Value> {
    let Operation {
        verb, path, query, ..
    } = *operation;
    let with_body = |query: &str, body: &str| {
        let mut event = asked(verb, path, query, Some(admin));
        event["body"] = json!(body);
        event
    };
    let good = operation.body.unwrap_or_default();
    let queries = PARAMETERS.map(|name| format!("{name}={CANARY}"));
    let mut events: Vec<Value> = queries.iter().map(|query| with_body(query, good)).collect();
    events.extend([
        with_body(query, good),
        asked(CANARY, path, query, Some(admin)),
        asked(verb, &format!("{path}/{CANARY}"), "", Some(admin)),
    ]);
    let with_token = |token: &String| asked(verb, path, query, Some(token));
    events.extend(tokens.iter().map(with_token));
    if let Some(body) = operation.body {
        let bodies = bodies(&serde_json::from_str(body).unwrap());
        events.extend(bodies.iter().map(|body| with_body("", body)));
    }
    events
}

fn of_no_operation(admin: &str) -> [Value; 6] {
    let server = format!("/v1/admin/node-servers/{CANARY}");
    let host = format!("a b {CANARY}");
    [
        asked("GET", &server, "", Some(admin)),
        asked("GET", &format!("/docs/{CANARY}"), "", None),
        json!({ CANARY: CANARY }),
        json!(CANARY),
        json!({ "path": "/v1/nodes", "multiValueHeaders": CANARY }),
        event("GET", "/v1/nodes", "", Some(admin), &[("host", &host)]),
    ]
}
