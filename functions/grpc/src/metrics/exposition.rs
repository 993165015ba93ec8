//! All metrics of the process as text.

use std::fmt;
use std::sync::Arc;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::{encode_eof, encode_registry};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use shared::clock::Context;
use shared::domain::fleet_metrics::PoolConnections;
use shared::services::fleet_metrics::FleetMetricsService;

use super::calls::CallMetrics;
use super::fleet::FleetCache;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Connections {
    state: &'static str,
}

/// The metrics of this process and of the fleet. Clones share them.
#[derive(Debug, Clone)]
pub struct Metrics {
    registry: Arc<Registry>,
    calls: CallMetrics,
    pool: PoolMetrics,
    fleet: FleetCache,
}

impl Metrics {
    /// Metrics of a process whose calls use the database of `service`.
    #[must_use]
    pub fn new(service: FleetMetricsService, context: Context) -> Self {
        let mut registry = Registry::default();
        let calls = CallMetrics::registered(&mut registry);
        let pool = PoolMetrics::registered(&mut registry, service.clone());
        let fleet = FleetCache::registered(&mut registry, service, context);
        Self {
            registry: Arc::new(registry),
            calls,
            pool,
            fleet,
        }
    }

    pub(crate) fn calls(&self) -> CallMetrics {
        self.calls.clone()
    }

    /// All metrics in the text format of `OpenMetrics`. If the database cannot be read, those of
    /// the fleet are left out.
    pub async fn text(&self) -> Result<String, fmt::Error> {
        // Before the read, which uses a connection itself.
        self.pool.measure();
        let fleet = self.fleet.text().await;
        let mut text = String::new();
        encode_registry(&mut text, &self.registry)?;
        text.push_str(fleet.as_deref().unwrap_or_default());
        encode_eof(&mut text)?;
        Ok(text)
    }
}

/// The metrics of the connection pool, which are measured when they are scraped.
#[derive(Debug, Clone)]
struct PoolMetrics {
    service: FleetMetricsService,
    connections: Family<Connections, Gauge>,
    max: Gauge,
}

impl PoolMetrics {
    fn registered(registry: &mut Registry, service: FleetMetricsService) -> Self {
        let (connections, max) = (Family::default(), Gauge::default());
        registry.register(
            "telecom_database_pool_connections",
            "Connections to the database, by whether a call uses them",
            Family::clone(&connections),
        );
        registry.register(
            "telecom_database_pool_max_connections",
            "Maximum number of connections to the database",
            Gauge::clone(&max),
        );
        Self {
            service,
            connections,
            max,
        }
    }

    fn measure(&self) {
        let PoolConnections { idle, in_use, max } = self.service.connections();
        for (state, count) in [("idle", idle), ("in_use", in_use)] {
            self.connections
                .get_or_create(&Connections { state })
                .set(count);
        }
        self.max.set(max);
    }
}
