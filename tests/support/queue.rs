//! A queue on a socket that accepts and keeps all messages.

use serde_json::{Value, json};

use crate::web::{ReceivedRequest, Web};

#[derive(Debug)]
pub struct Queue(Web);

impl Queue {
    /// Starts a queue that stops with the test.
    pub async fn start() -> Self {
        Self(Web::start(|request| (200, accept(request))).await)
    }

    #[must_use]
    pub fn endpoint(&self) -> &str {
        self.0.url()
    }

    /// The bodies of all messages received, in order.
    #[must_use]
    pub fn bodies(&self) -> Vec<String> {
        let bodies = |request: &ReceivedRequest| {
            let body = |entry: &Value| entry["MessageBody"].as_str().unwrap().to_owned();
            entries(request).iter().map(body).collect::<Vec<String>>()
        };
        self.0.asked().iter().flat_map(bodies).collect()
    }

    /// The trace header of each message received, in order. Messages without one are left out.
    #[must_use]
    pub fn trace_headers(&self) -> Vec<String> {
        let header = |entry: &Value| {
            let header = &entry["MessageSystemAttributes"]["AWSTraceHeader"]["StringValue"];
            Some(header.as_str()?.to_owned())
        };
        let requests = self.0.asked();
        let entries = requests.iter().flat_map(entries);
        entries.filter_map(|entry| header(&entry)).collect()
    }
}

fn entries(request: &ReceivedRequest) -> Vec<Value> {
    let request: Value = serde_json::from_str(request.body()).unwrap();
    request["Entries"].as_array().unwrap().clone()
}

fn accept(request: &ReceivedRequest) -> String {
    let accepted: Vec<Value> = entries(request)
        .iter()
        .map(|entry| json!({ "Id": entry["Id"], "MessageId": "1", "MD5OfMessageBody": "1" }))
        .collect();
    json!({ "Successful": accepted, "Failed": [] }).to_string()
}
