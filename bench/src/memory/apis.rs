//! Requests to the API functions: the example of each endpoint, as the load balancer sends it.

use local::generate::event;
use serde_json::Value;
use shared::http::{Example, Registered, endpoints};

/// A request to an API function.
#[derive(Debug)]
pub struct Api {
    /// Name of the function's binary.
    pub function: String,
    /// Method, path and query of the request.
    pub what: String,
    /// The load balancer's event.
    pub event: Value,
}

/// A request to each API function. `token` authenticates an administrator.
pub fn all(token: &str) -> Vec<Api> {
    let endpoints = endpoints();
    // The page is not an endpoint of the list. Any request with its path asks for it.
    let page = endpoints.first().map(|endpoint| Api {
        function: "show-api-documentation".to_owned(),
        ..Api::of(
            &Registered {
                path: "/docs",
                example: Example::DEFAULT,
                ..endpoint.clone()
            },
            token,
        )
    });
    let apis = endpoints.iter().map(|endpoint| Api::of(endpoint, token));
    apis.chain(page).collect()
}

impl Api {
    fn of(endpoint: &Registered, token: &str) -> Self {
        let query = endpoint.example.query;
        let mark = if query.is_empty() { "" } else { "?" };
        let path = endpoint.example_path();
        Self {
            function: endpoint.function(),
            what: format!("{} {path}{mark}{query}", endpoint.method),
            event: event(endpoint, token),
        }
    }
}
