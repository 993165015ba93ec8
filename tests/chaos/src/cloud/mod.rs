//! In-memory SQS and EventBridge behind HTTP, with configurable faults.

pub mod bus;
pub mod queue;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use hyper::Request;
use hyper::body::Bytes;
use local::loopback::http_server::{Answer, Server, reply, serve};
use serde::Deserialize;
use serde_json::{Value, json};
use shared::clock::Clock as _;

use crate::clock::FastClock;
use crate::random::Random;
use bus::Bus;
use queue::{Origin, Queue, QueueFaults};

/// Random stream of the queue of usage reports.
const REPORTS: u64 = 1;
/// Name of the queue of billing events.
pub const BILLING: &str = "user-usage-billing";
/// Name of the queue of expiring packages.
pub const EXPIRING: &str = "package-expiring";
pub const BUS: &str = "telecom";

/// How many of a thousand requests a fault disturbs.
#[derive(Debug, Clone, Copy)]
pub struct RequestFaults {
    /// The request fails with a server error, before or after it took effect.
    pub fail: u32,
    /// The request hangs, before or after it took effect.
    pub hang: u32,
    /// How long a hanging request hangs.
    pub hang_for: Duration,
    /// Some entries of the request are refused.
    pub refuse: u32,
}

impl RequestFaults {
    pub const NONE: Self = Self {
        fail: 0,
        hang: 0,
        hang_for: Duration::ZERO,
        refuse: 0,
    };
}

#[derive(Debug, Clone)]
pub struct Cloud(Arc<Inner>);

#[derive(Debug)]
pub struct Inner {
    pub reports: Queue,
    pub node_usage: Queue,
    pub billing: Queue,
    pub expiring: Queue,
    pub orders: Queue,
    pub bus: Bus,
    clock: Arc<FastClock>,
    request_faults: Mutex<(RequestFaults, Random)>,
    faults: AtomicU64,
}

impl std::ops::Deref for Cloud {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SendMessageBatch {
    queue_url: String,
    entries: Vec<QueueEntry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct QueueEntry {
    id: String,
    message_body: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PutEvents {
    entries: Vec<BusEntry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct BusEntry {
    detail_type: String,
    detail: String,
}

/// What happens to one request.
#[derive(Debug, Clone, Copy, Default)]
struct RequestFault {
    /// The request takes effect.
    applied: bool,
    hang: Duration,
    fails: bool,
    /// How many of a thousand entries are refused.
    refused: u32,
}

impl Cloud {
    /// Serves requests on a loopback port.
    pub async fn start(
        seed: u64,
        clock: Arc<FastClock>,
        queue_faults: QueueFaults,
        request_faults: RequestFaults,
    ) -> Result<(Self, SocketAddr)> {
        let cloud = Self(Arc::new(Inner {
            reports: Queue::new(Random::new(seed, REPORTS), queue_faults),
            node_usage: Queue::new(Random::new(seed, 6), queue_faults),
            billing: Queue::new(Random::new(seed, 2), queue_faults),
            expiring: Queue::new(Random::new(seed, 3), queue_faults),
            orders: Queue::new(Random::new(seed, 5), queue_faults),
            bus: Bus::default(),
            clock,
            request_faults: Mutex::new((request_faults, Random::new(seed, 4))),
            faults: AtomicU64::new(0),
        }));
        let address = serve(cloud.clone(), 0).await?;
        Ok((cloud, address))
    }

    /// Ends all faults of queues and requests.
    pub fn calm(&self) {
        self.request_faults
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .0 = RequestFaults::NONE;
        for queue in self.queues() {
            queue.set_faults(QueueFaults::NONE);
        }
    }

    pub fn queues(&self) -> [&Queue; 5] {
        [
            &self.reports,
            &self.node_usage,
            &self.billing,
            &self.expiring,
            &self.orders,
        ]
    }

    /// Number of requests that failed, hung or had entries refused.
    pub fn faults(&self) -> u64 {
        self.faults.load(Ordering::SeqCst)
    }

    fn draw_fault(&self) -> RequestFault {
        let mut request_faults = self
            .request_faults
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let (chances, random) = &mut *request_faults;
        let (fails, hangs) = (random.chance(chances.fail), random.chance(chances.hang));
        let refused = if random.chance(chances.refuse) {
            400
        } else {
            0
        };
        let applied = !(fails || hangs) || random.chance(500);
        let hang = if hangs {
            chances.hang_for
        } else {
            Duration::ZERO
        };
        if fails || hangs || refused > 0 {
            self.faults.fetch_add(1, Ordering::SeqCst);
        }
        RequestFault {
            applied,
            hang,
            fails,
            refused,
        }
    }

    /// Returns whether an entry is refused and whether it takes effect. A refused entry may take
    /// effect as well.
    fn refuses(&self, fault: RequestFault) -> (bool, bool) {
        let mut request_faults = self
            .request_faults
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let refused = request_faults.1.chance(fault.refused);
        (
            refused,
            fault.applied && (!refused || request_faults.1.chance(300)),
        )
    }

    fn send_message_batch(&self, body: &[u8], fault: RequestFault) -> Result<Value> {
        let request: SendMessageBatch =
            serde_json::from_slice(body).context("SendMessageBatch is malformed.")?;
        let queue = match request.queue_url.rsplit('/').next() {
            Some(BILLING) => &self.billing,
            Some(EXPIRING) => &self.expiring,
            other => bail!("There is no queue {other:?}."),
        };
        let (mut successful, mut failed) = (Vec::new(), Vec::new());
        for entry in request.entries {
            let (refused, applied) = self.refuses(fault);
            if applied {
                queue.send(entry.message_body, Origin::Function, true, self.clock.now());
            }
            if refused {
                failed.push(
                    json!({"Id": entry.id, "SenderFault": false, "Code": "ServiceUnavailable",
                        "Message": "chaos"}),
                );
            } else {
                successful
                    .push(json!({"Id": entry.id, "MessageId": entry.id, "MD5OfMessageBody": ""}));
            }
        }
        Ok(json!({"Successful": successful, "Failed": failed}))
    }

    fn put_events(&self, body: &[u8], fault: RequestFault) -> Result<Value> {
        let request: PutEvents = serde_json::from_slice(body).context("PutEvents is malformed.")?;
        let mut results = Vec::new();
        for entry in request.entries {
            let (refused, applied) = self.refuses(fault);
            if applied {
                self.bus
                    .receive(entry.detail_type, serde_json::from_str(&entry.detail)?);
            }
            results.push(if refused {
                json!({"ErrorCode": "InternalFailure", "ErrorMessage": "chaos"})
            } else {
                json!({"EventId": "1"})
            });
        }
        let failed = results
            .iter()
            .filter(|result| result.get("ErrorCode").is_some())
            .count();
        Ok(json!({"FailedEntryCount": failed, "Entries": results}))
    }
}

impl Server for Cloud {
    async fn answer(&self, request: Request<Bytes>) -> Result<Answer> {
        let (head, body) = request.into_parts();
        let target = head
            .headers
            .get("x-amz-target")
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default();
        let fault = self.draw_fault();
        let response = match target.rsplit('.').next() {
            Some("SendMessageBatch") => self.send_message_batch(&body, fault)?,
            Some("PutEvents") => self.put_events(&body, fault)?,
            _ => bail!("{target:?} is not an operation of this stand-in."),
        };
        tokio::time::sleep(fault.hang).await;
        if fault.fails {
            return reply(503, r#"{"__type":"ServiceUnavailable"}"#);
        }
        reply(200, response.to_string())
    }
}

pub fn queue_url(endpoint: &str, name: &str) -> String {
    format!("{endpoint}/123456789012/{name}")
}
