//! `FleetMetricsService`: reads the numbers of the whole fleet for monitoring systems.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use sqlx::PgPool;

use super::Processor;
use crate::app::{App, FromApp, StartError};
use crate::clock::Context;
use crate::db::{self, fleet_metrics, online_address};
use crate::domain::fleet_metrics::{CountedHours, FleetNumbers, PoolConnections, ServerUsage};
use crate::error::Error;

/// Reads the numbers that monitoring systems collect, with two statements.
#[derive(Debug, Clone)]
pub struct FleetMetricsService {
    pool: PgPool,
    context: Context,
}

impl FleetMetricsService {
    /// Creates the service. `pool` may connect as any role.
    #[must_use]
    pub fn new(pool: PgPool, context: Context) -> Self {
        Self { pool, context }
    }

    /// The connections to the database that this process has now.
    #[must_use]
    pub fn connections(&self) -> PoolConnections {
        let size = i64::from(self.pool.size());
        // The pool changes between the two calls.
        let idle = i64::try_from(self.pool.num_idle()).unwrap_or(size);
        let idle = idle.min(size);
        PoolConnections {
            idle,
            in_use: size - idle,
            max: self.pool.options().get_max_connections().into(),
        }
    }
}

#[async_trait]
impl FromApp for FleetMetricsService {
    async fn from_app(app: &App) -> Result<Self, StartError> {
        Ok(Self::new(app.database()?, app.context()))
    }
}

/// Requests the numbers of the fleet.
#[derive(Debug, Clone, Copy)]
pub struct ReadFleetMetrics {
    /// The hours whose traffic is summed.
    pub hours: CountedHours,
}

/// The numbers of the fleet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FleetMetrics {
    /// When the numbers were read.
    pub as_of: DateTime<Utc>,
    /// Numbers of servers, items and users.
    pub numbers: FleetNumbers,
    /// The raw traffic of all servers.
    pub servers: Vec<ServerUsage>,
}

impl FleetMetrics {
    /// Time since the arrival of the oldest report that is not billed, in seconds. 0 if all are
    /// billed.
    #[must_use]
    pub fn billing_lag_seconds(&self) -> i64 {
        let oldest = self.numbers.oldest_unbilled_at;
        oldest.map_or(0, |oldest| (self.as_of - oldest).num_seconds().max(0))
    }
}

#[async_trait]
impl Processor<ReadFleetMetrics> for FleetMetricsService {
    type Output = FleetMetrics;

    #[tracing::instrument(name = "read_fleet_metrics", skip_all)]
    async fn process(&self, input: ReadFleetMetrics) -> Result<FleetMetrics, Error> {
        let as_of = self.context.now();
        db::read_tx(&self.pool, async |tx| {
            Ok(FleetMetrics {
                as_of,
                numbers: fleet_metrics::numbers(tx, online_address::counted_since(as_of)).await?,
                servers: fleet_metrics::server_usage(tx, input.hours).await?,
            })
        })
        .await
    }
}
