//! Requests to the API functions: a valid one for each, as the load balancer sends it.

use serde_json::{Value, json};

/// A request to an API function.
#[derive(Debug)]
pub struct Api {
    /// Name of the function's binary.
    pub function: &'static str,
    method: &'static str,
    path: &'static str,
    query: &'static [(&'static str, &'static str)],
    body: &'static str,
}

pub const APIS: [Api; 13] = [
    Api {
        query: &[("range", "month")],
        ..get("get-recent-traffic-usage", "/v1/traffic-usage")
    },
    get("list-node-status-history", "/v1/node-status-history"),
    get("list-usually-used-nodes", "/v1/usually-used-nodes"),
    get("list-nodes", "/v1/nodes"),
    get("list-node-servers", "/v1/admin/node-servers"),
    get("show-node-server", "/v1/admin/node-servers/1"),
    get("list-node-clients", "/v1/admin/node-clients"),
    get("show-node-client", "/v1/admin/node-clients/1"),
    get("count-queued-packages", "/v1/admin/package-queue/counts"),
    get("list-queued-packages", "/v1/admin/package-queue"),
    get(
        "get-node-server-availability",
        "/v1/admin/node-servers/1/availability",
    ),
    Api {
        method: "PUT",
        body: r#"{"maintenance": true, "reason": "bench"}"#,
        ..get(
            "set-node-server-maintenance",
            "/v1/admin/node-servers/1/maintenance",
        )
    },
    get("show-api-documentation", "/docs"),
];

const fn get(function: &'static str, path: &'static str) -> Api {
    Api {
        function,
        method: "GET",
        path,
        query: &[],
        body: "",
    }
}

impl Api {
    /// Method, path and query of the request.
    pub fn what(&self) -> String {
        let query: Vec<String> = self
            .query
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let mark = if query.is_empty() { "" } else { "?" };
        format!("{} {}{mark}{}", self.method, self.path, query.join("&"))
    }

    /// The load balancer's event, with multi-value headers.
    pub fn event(&self, token: &str) -> Value {
        let query: serde_json::Map<String, Value> = self
            .query
            .iter()
            .map(|(name, value)| ((*name).to_owned(), json!([value])))
            .collect();
        json!({
            "requestContext": {"elb": {"targetGroupArn":
                "arn:aws:elasticloadbalancing:eu-central-1:123456789012:targetgroup/telecom\
                 /6d0ecf831eec9f09"}},
            "httpMethod": self.method, "path": self.path,
            "multiValueQueryStringParameters": query,
            "multiValueHeaders": {
                "accept": ["application/json"], "authorization": [format!("Bearer {token}")],
                "content-type": ["application/json"],
                "host": ["telecom.example.com"], "x-forwarded-for": ["192.0.2.1"],
                    "x-forwarded-port": ["443"],
                "x-forwarded-proto": ["https"],
                    "x-amzn-trace-id": ["Root=1-5bdb40ca-556d8b0c50dc66f0511bf520"]
            },
            "body": self.body, "isBase64Encoded": false
        })
    }
}
