//! An event bus on a socket that accepts and keeps what it is given.

use std::sync::{Arc, Mutex};

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;

type Details = Arc<Mutex<Vec<Value>>>;

/// The bus.
#[derive(Debug)]
pub struct Bus {
    endpoint: String,
    details: Details,
}

impl Bus {
    /// Starts one; it ends with the test.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let bus = Self { endpoint: format!("http://{}", listener.local_addr().unwrap()), details: Details::default() };
        let details = Arc::clone(&bus.details);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let details = Arc::clone(&details);
                let service = service_fn(move |request| put_events(request, Arc::clone(&details)));
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        bus
    }

    /// Where it is.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// What it was given, in order.
    #[must_use]
    pub fn details(&self) -> Vec<Value> {
        self.details.lock().unwrap().clone()
    }
}

async fn put_events(request: Request<Incoming>, details: Details) -> Result<Response<Full<Bytes>>, hyper::Error> {
    let body = request.into_body().collect().await?.to_bytes();
    let request: Value = serde_json::from_slice(&body).unwrap();
    let entries = request["Entries"].as_array().unwrap();
    let given = entries.iter().map(|entry| serde_json::from_str(entry["Detail"].as_str().unwrap()).unwrap());
    details.lock().unwrap().extend(given);
    let accepted: Vec<Value> = entries.iter().map(|_| json!({ "EventId": "1" })).collect();
    let answer = json!({ "FailedEntryCount": 0, "Entries": accepted }).to_string();
    Ok(Response::new(Full::new(answer.into())))
}
