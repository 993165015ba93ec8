//! Requests to the API functions that read: the example of each endpoint, as the load balancer
//! sends it. A function that changes something starts in the same way, but its example need not fit
//! the database.

use anyhow::Result;
use http::Method;
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

/// A request to each API function that reads. `token` authenticates an administrator.
pub fn all(token: &str) -> Result<Vec<Api>> {
    let endpoints = endpoints();
    let mut apis = Vec::new();
    for endpoint in endpoints.iter().filter(|one| one.method == Method::GET) {
        apis.push(Api::of(endpoint, token)?);
    }
    // The page is not an endpoint of the list. Any request with its path asks for it.
    if let Some(endpoint) = endpoints.first() {
        let page = Registered {
            path: "/docs",
            example: Example::DEFAULT,
            ..endpoint.clone()
        };
        apis.push(Api {
            function: "show-api-documentation".to_owned(),
            ..Api::of(&page, token)?
        });
    }
    Ok(apis)
}

impl Api {
    fn of(endpoint: &Registered, token: &str) -> Result<Self> {
        let query = endpoint.example.query;
        let mark = if query.is_empty() { "" } else { "?" };
        let path = endpoint.example_path(1);
        Ok(Self {
            function: endpoint.function(),
            what: format!("{} {path}{mark}{query}", endpoint.method),
            event: event(endpoint, token)?,
        })
    }
}
