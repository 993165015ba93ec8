//! SQS and EventBridge in memory, behind HTTP, as unreliable as a run wants them.

pub mod bus;
pub mod queue;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use hyper::Request;
use hyper::body::Bytes;
use local::loopback::{Answer, Server, reply, serve};
use serde::Deserialize;
use serde_json::{Value, json};
use shared::clock::Clock as _;

use crate::clock::FastClock;
use crate::random::Random;
use bus::Bus;
use queue::{Habits, Origin, Queue};

/// Name of the queue of usage reports.
const REPORTS: u64 = 1;
/// Name of the queue of billing events.
pub const BILLING: &str = "user-usage-billing";
/// Name of the queue of expiring packages.
pub const EXPIRING: &str = "package-expiring";
/// Name of the bus.
pub const BUS: &str = "telecom";

/// How often a request fails, in a thousand.
#[derive(Debug, Clone, Copy)]
pub struct Weather {
    /// With a server error, before or after it took effect.
    pub fail: u32,
    /// It hangs, before or after it took effect.
    pub hang: u32,
    /// For how long.
    pub hang_for: Duration,
    /// Some of its entries are refused.
    pub refuse: u32,
}

impl Weather {
    pub const FAIR: Self = Self {
        fail: 0,
        hang: 0,
        hang_for: Duration::ZERO,
        refuse: 0,
    };
}

/// Queues and bus.
#[derive(Debug, Clone)]
pub struct Cloud(Arc<Inner>);

#[derive(Debug)]
pub struct Inner {
    pub reports: Queue,
    pub billing: Queue,
    pub expiring: Queue,
    pub bus: Bus,
    clock: Arc<FastClock>,
    weather: Mutex<(Weather, Random)>,
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
struct Fate {
    /// It takes effect.
    applied: bool,
    hang: Duration,
    fails: bool,
    /// Of its entries, these many in a thousand are refused.
    refused: u32,
}

impl Cloud {
    /// Serves requests on a port of loopback.
    pub async fn start(
        seed: u64,
        clock: Arc<FastClock>,
        habits: Habits,
        weather: Weather,
    ) -> Result<(Self, SocketAddr)> {
        let cloud = Self(Arc::new(Inner {
            reports: Queue::new(Random::new(seed, REPORTS), habits),
            billing: Queue::new(Random::new(seed, 2), habits),
            expiring: Queue::new(Random::new(seed, 3), habits),
            bus: Bus::default(),
            clock,
            weather: Mutex::new((weather, Random::new(seed, 4))),
            faults: AtomicU64::new(0),
        }));
        let address = serve(cloud.clone(), 0).await?;
        Ok((cloud, address))
    }

    /// Ends every misbehaviour.
    pub fn calm(&self) {
        self.weather
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .0 = Weather::FAIR;
        for queue in [&self.reports, &self.billing, &self.expiring] {
            queue.behave(Habits::GOOD);
        }
    }

    /// Requests that failed wholly or in part.
    pub fn faults(&self) -> u64 {
        self.faults.load(Ordering::SeqCst)
    }

    fn fate(&self) -> Fate {
        let mut weather = self.weather.lock().unwrap_or_else(PoisonError::into_inner);
        let (chances, random) = &mut *weather;
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
        Fate {
            applied,
            hang,
            fails,
            refused,
        }
    }

    /// Whether an entry is refused; a refused one may have taken effect all the same.
    fn refuses(&self, fate: Fate) -> (bool, bool) {
        let mut weather = self.weather.lock().unwrap_or_else(PoisonError::into_inner);
        let refused = weather.1.chance(fate.refused);
        (refused, fate.applied && (!refused || weather.1.chance(300)))
    }

    fn send_message_batch(&self, body: &[u8], fate: Fate) -> Result<Value> {
        let request: SendMessageBatch =
            serde_json::from_slice(body).context("SendMessageBatch is malformed.")?;
        let queue = match request.queue_url.rsplit('/').next() {
            Some(BILLING) => &self.billing,
            Some(EXPIRING) => &self.expiring,
            other => bail!("There is no queue {other:?}."),
        };
        let (mut successful, mut failed) = (Vec::new(), Vec::new());
        for entry in request.entries {
            let (refused, applied) = self.refuses(fate);
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

    fn put_events(&self, body: &[u8], fate: Fate) -> Result<Value> {
        let request: PutEvents = serde_json::from_slice(body).context("PutEvents is malformed.")?;
        let mut results = Vec::new();
        for entry in request.entries {
            let (refused, applied) = self.refuses(fate);
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
        let fate = self.fate();
        let answer = match target.rsplit('.').next() {
            Some("SendMessageBatch") => self.send_message_batch(&body, fate)?,
            Some("PutEvents") => self.put_events(&body, fate)?,
            _ => bail!("{target:?} is no operation of this stand-in."),
        };
        tokio::time::sleep(fate.hang).await;
        if fate.fails {
            return reply(503, r#"{"__type":"ServiceUnavailable"}"#);
        }
        reply(200, answer.to_string())
    }
}

/// URL of the queue `name`.
pub fn queue_url(endpoint: &str, name: &str) -> String {
    format!("{endpoint}/123456789012/{name}")
}
