//! An event bus on a socket that accepts and keeps all entries.

use serde_json::{Value, json};

use crate::web::{ReceivedRequest, Web};

#[derive(Debug)]
pub struct Bus(Web);

impl Bus {
    /// Starts a bus that stops with the test.
    pub async fn start() -> Self {
        Self(Web::start(|request| (200, accept(request))).await)
    }

    #[must_use]
    pub fn endpoint(&self) -> &str {
        self.0.url()
    }

    /// The details of all entries received, in order.
    #[must_use]
    pub fn details(&self) -> Vec<Value> {
        let details = |request: &ReceivedRequest| {
            let detail =
                |entry: &Value| serde_json::from_str(entry["Detail"].as_str().unwrap()).unwrap();
            entries(request).iter().map(detail).collect::<Vec<Value>>()
        };
        self.0.asked().iter().flat_map(details).collect()
    }
}

fn entries(request: &ReceivedRequest) -> Vec<Value> {
    let request: Value = serde_json::from_str(request.body()).unwrap();
    request["Entries"].as_array().unwrap().clone()
}

fn accept(request: &ReceivedRequest) -> String {
    let accepted: Vec<Value> = entries(request)
        .iter()
        .map(|_| json!({ "EventId": "1" }))
        .collect();
    json!({ "FailedEntryCount": 0, "Entries": accepted }).to_string()
}
