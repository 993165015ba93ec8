//! A stand-in for SQS `SendMessageBatch` and EventBridge `PutEvents` that accepts and stores
//! everything.
//!
//! Messages to queues are parsed when they are taken, not while the sender waits. Parsing is the
//! service's work, which runs on other machines in production.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context as _, Result, bail};
use aws_config::{BehaviorVersion, Region};
use aws_sdk_sqs::config::Credentials;
use hyper::Request;
use hyper::body::Bytes;
use hyper::header::HeaderValue;
use local::loopback::http_server::{Answer, Server, reply, serve};
use serde::Deserialize;
use serde_json::json;
use shared::config::MessagingConfig;
use shared::events::publisher::Publisher;

/// Region of the requests' signatures.
pub const REGION: &str = "eu-central-1";
/// Queue of billing events.
pub const BILLING: &str = "user-usage-billing";
/// Queue of expiring packages.
pub const EXPIRING: &str = "package-expiring";
/// Queue to which the functions for nodes send what nodes push.
pub const NODE_USAGE: &str = "node-usage";
pub const BUS: &str = "telecom";

#[derive(Debug, Clone, Default)]
struct Inbox(Arc<Mutex<Messages>>);

#[derive(Debug, Default)]
struct Messages {
    /// Requests to queues that have not been parsed.
    unparsed: Vec<Bytes>,
    /// Bodies of each request by queue or bus name.
    parsed: HashMap<String, Vec<Vec<String>>>,
}

/// Queues and an event bus in memory.
#[derive(Debug, Clone)]
pub struct Messaging {
    address: SocketAddr,
    inbox: Inbox,
}

/// `SendMessageBatch` or `PutEvents`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Batch {
    /// Always empty in `PutEvents`.
    #[serde(default)]
    queue_url: String,
    entries: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    #[serde(alias = "MessageBody", alias = "Detail")]
    body: String,
}

impl Messaging {
    pub async fn start() -> Result<Self> {
        let inbox = Inbox::default();
        Ok(Self {
            address: serve(inbox.clone(), 0).await?,
            inbox,
        })
    }

    /// URL of the stand-in.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// URL of the queue `name`.
    pub fn queue_url(&self, name: &str) -> String {
        format!("{}/123456789012/{name}", self.endpoint())
    }

    /// A publisher with a function's configuration, including signatures.
    pub async fn publisher(&self) -> Publisher {
        let aws = aws_config::defaults(BehaviorVersion::latest())
            .region(Region::new(REGION))
            .endpoint_url(self.endpoint())
            .credentials_provider(Credentials::new("bench", "bench", None, None, "bench"))
            .load()
            .await;
        let config = MessagingConfig {
            user_usage_billing_queue_url: Some(self.queue_url(BILLING)),
            package_expiring_queue_url: Some(self.queue_url(EXPIRING)),
            node_usage_queue_url: None,
            event_bus_name: Some(BUS.to_owned()),
            dead_letter_queue_urls: Vec::new(),
        };
        Publisher::new(&aws, config)
    }

    /// Takes the messages sent to `name`, in order of arrival.
    pub fn take(&self, name: &str) -> Result<Vec<String>> {
        Ok(self.take_requests(name)?.concat())
    }

    /// Takes the messages sent to `name`, those of each request, in order of arrival.
    pub fn take_requests(&self, name: &str) -> Result<Vec<Vec<String>>> {
        let mut messages = self.inbox.lock();
        for request in std::mem::take(&mut messages.unparsed) {
            let request: Batch =
                serde_json::from_slice(&request).context("SendMessageBatch is malformed.")?;
            let name = request.queue_url.rsplit('/').next().unwrap_or_default();
            messages.add(name, request.entries);
        }
        Ok(messages.parsed.remove(name).unwrap_or_default())
    }
}

impl Messages {
    fn add(&mut self, name: &str, entries: Vec<Entry>) {
        let bodies = entries.into_iter().map(|entry| entry.body).collect();
        let requests = self.parsed.entry(name.to_owned()).or_default();
        requests.push(bodies);
    }
}

impl Inbox {
    fn lock(&self) -> MutexGuard<'_, Messages> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Senders check only the failures.
    fn send_message_batch(&self, body: Bytes) -> Result<Answer> {
        self.lock().unparsed.push(body);
        reply(200, r#"{"Successful":[],"Failed":[]}"#)
    }

    fn put_events(&self, body: &[u8]) -> Result<Answer> {
        let request: Batch = serde_json::from_slice(body).context("PutEvents is malformed.")?;
        let accepted = |number: usize| json!({"EventId": number.to_string()});
        let entries: Vec<_> = (0..request.entries.len()).map(accepted).collect();
        self.lock().add(BUS, request.entries);
        let answer = json!({"FailedEntryCount": 0, "Entries": entries});
        reply(200, answer.to_string())
    }
}

impl Server for Inbox {
    async fn answer(&self, request: Request<Bytes>) -> Result<Answer> {
        let (head, body) = request.into_parts();
        let target = head.headers.get("x-amz-target");
        let target = target.map_or(Ok(""), HeaderValue::to_str)?;
        match target.rsplit('.').next() {
            Some("SendMessageBatch") => self.send_message_batch(body),
            Some("PutEvents") => self.put_events(&body),
            _ => bail!("{target:?} is not an operation of this stand-in."),
        }
    }
}
