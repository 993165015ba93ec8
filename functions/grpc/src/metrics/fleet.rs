//! Metrics that are read from the database, at most every 30 seconds.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode_registry;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use shared::clock::Context;
use shared::deadline;
use shared::domain::fleet_metrics::{FleetNumbers, ServerCounters};
use shared::error::Error;
use shared::services::Processor;
use shared::services::fleet_metrics::{FleetMetrics, FleetMetricsService, ReadFleetMetrics};
use tokio::sync::Mutex;

/// Minimum time between two reads.
const INTERVAL: TimeDelta = TimeDelta::seconds(30);
/// Maximum duration of a read. The database also ends its statements then.
const MAX_READ: Duration = Duration::from_secs(3);
/// Maximum time that a scrape waits for a read. Prometheus waits ten seconds for a scrape by
/// default.
const MAX_WAIT: Duration = Duration::from_secs(4);

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Read {
    outcome: &'static str,
}

/// The metrics of the last read. Clones share them.
#[derive(Debug, Clone)]
pub struct FleetCache {
    service: FleetMetricsService,
    context: Context,
    state: Arc<Mutex<State>>,
    reads: Family<Read, Counter>,
    up: Gauge,
}

#[derive(Debug, Default)]
struct State {
    read_at: Option<DateTime<Utc>>,
    counters: ServerCounters,
    /// `None` if the last read failed.
    text: Option<Arc<str>>,
}

impl State {
    /// A clock that was set back must not prevent reads.
    fn is_due(&self, now: DateTime<Utc>) -> bool {
        let due = |read_at| now - read_at >= INTERVAL || now < read_at;
        self.read_at.is_none_or(due)
    }
}

impl FleetCache {
    pub fn registered(
        registry: &mut Registry,
        service: FleetMetricsService,
        context: Context,
    ) -> Self {
        let cache = Self {
            service,
            context,
            state: Arc::default(),
            reads: Family::default(),
            up: Gauge::default(),
        };
        for outcome in ["success", "failure"] {
            drop(cache.reads.get_or_create(&Read { outcome }));
        }
        registry.register(
            "telecom_database_reads",
            "Reads of the metrics of the fleet from the database",
            cache.reads.clone(),
        );
        registry.register(
            "telecom_database_read_up",
            "Whether the metrics of the fleet could be read. If not, they are left out",
            cache.up.clone(),
        );
        cache
    }

    /// The metrics of the fleet in the text format. `None` if they cannot be read.
    pub async fn text(&self) -> Option<Arc<str>> {
        let cache = self.clone();
        // In a task of its own, because others may wait for the read of a scraper that hangs up.
        let reading = tokio::spawn(async move { cache.current().await });
        let text = tokio::time::timeout(MAX_WAIT, reading).await;
        let text = text.ok().and_then(Result::ok).flatten();
        self.up.set(i64::from(text.is_some()));
        text
    }

    /// Reads the metrics if they are due. Concurrent callers wait for the same read.
    async fn current(&self) -> Option<Arc<str>> {
        let mut state = self.state.lock().await;
        let now = self.context.now();
        if state.is_due(now) {
            state.read_at = Some(now);
            let read = self.read(&mut state.counters, now).await;
            let outcome = if read.is_ok() { "success" } else { "failure" };
            self.reads.get_or_create(&Read { outcome }).inc();
            state.text = read
                .inspect_err(|error| {
                    tracing::warn!(
                        error_code = error.code(),
                        cause = error.cause(),
                        "cannot read the metrics of the fleet"
                    );
                })
                .ok();
        }
        state.text.clone()
    }

    async fn read(
        &self,
        counters: &mut ServerCounters,
        now: DateTime<Utc>,
    ) -> Result<Arc<str>, Error> {
        let hours = counters.hours(now);
        let reading = self.service.process(ReadFleetMetrics { hours });
        let mut metrics = deadline::within(Some(MAX_READ), reading).await?;
        counters.add(hours, std::mem::take(&mut metrics.servers));
        encoded(&metrics, counters).map_err(Error::internal)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct InState {
    state: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfServer {
    server_id: i32,
    server: String,
    direction: &'static str,
}

fn encoded(metrics: &FleetMetrics, counters: &ServerCounters) -> Result<Arc<str>, fmt::Error> {
    let mut registry = Registry::default();
    register_numbers(&mut registry, &metrics.numbers);
    register_bytes(&mut registry, counters);
    let lag = Gauge::<i64>::default();
    lag.set(metrics.billing_lag_seconds());
    registry.register(
        "telecom_billing_lag_seconds",
        "Time since the arrival of the oldest report that is not billed, or 0",
        lag,
    );
    let mut text = String::new();
    encode_registry(&mut text, &registry)?;
    Ok(text.into())
}

fn register_numbers(registry: &mut Registry, numbers: &FleetNumbers) {
    let mut register = |name: &str, help: &str, values: &[(&'static str, i64)]| {
        let family = Family::<InState, Gauge>::default();
        for &(state, value) in values {
            family.get_or_create(&InState { state }).set(value);
        }
        registry.register(name, help, family);
    };
    register(
        "telecom_servers",
        "Node servers that are not archived, by status",
        &[
            ("online", numbers.online_servers),
            ("offline", numbers.offline_servers),
            ("maintenance", numbers.maintenance_servers),
        ],
    );
    register(
        "telecom_package_items",
        "Package items, by status",
        &[
            ("in_queue", numbers.waiting_items),
            ("active", numbers.active_items),
            ("consumed", numbers.consumed_items),
            ("cancelled", numbers.cancelled_items),
        ],
    );
    // Both states may apply to a user.
    register(
        "telecom_users",
        "Users with an active item (active), and users who are connected now (online)",
        &[
            ("active", numbers.active_items),
            ("online", numbers.online_users),
        ],
    );
}

fn register_bytes(registry: &mut Registry, counters: &ServerCounters) {
    let bytes = Family::<OfServer, Counter>::default();
    for (server_id, name, total) in counters.totals() {
        for (direction, count) in [("upload", total.upload), ("download", total.download)] {
            let labels = OfServer {
                server_id,
                server: name.to_owned(),
                direction,
            };
            let count = u64::try_from(count).unwrap_or_default();
            bytes.get_or_create(&labels).inc_by(count);
        }
    }
    registry.register(
        "telecom_server_raw_bytes",
        "Raw traffic of a node server that was charged since this process began to count",
        bytes,
    );
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use shared::domain::fleet_metrics::{ServerBytes, ServerUsage};

    use super::*;

    #[test]
    fn the_name_of_a_server_cannot_end_its_label() {
        let mut counters = ServerCounters::default();
        let hours = counters.hours(DateTime::UNIX_EPOCH);
        counters.add(
            hours,
            vec![ServerUsage {
                id: 7,
                name: "a\"} 1\nb\\ü".to_owned(),
                archived: false,
                since_previous_first: ServerBytes::default(),
                since_first: ServerBytes::default(),
            }],
        );
        let mut registry = Registry::default();
        register_bytes(&mut registry, &counters);
        let mut text = String::new();
        encode_registry(&mut text, &registry).unwrap();
        let labels = r#"{server_id="7",server="a\"} 1\nb\\ü",direction="upload"} 0"#;
        assert!(text.contains(labels), "{text}");
    }
}
