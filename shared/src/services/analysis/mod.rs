//! `AnalysisService`: operations of users on their own traffic and nodes.

mod get_online_devices;
mod get_recent_traffic_usage;
mod list_user_node_status_history;
mod list_user_nodes;
mod list_user_packages;
mod list_user_usually_used_nodes;

use async_trait::async_trait;
use sqlx::PgPool;

pub use get_online_devices::GetOnlineDevices;
pub use get_recent_traffic_usage::{GetRecentTrafficUsage, RecentTrafficUsage, TrafficBucket};
pub use list_user_node_status_history::{
    ListUserNodeStatusHistory, NodeAvailability, UserNodeStatusHistory,
};
pub use list_user_nodes::{ListUserNodes, UserNodes};
pub use list_user_packages::{ListUserPackages, UserPackages};
pub use list_user_usually_used_nodes::{ListUserUsuallyUsedNodes, UserUsuallyUsedNodes};

use crate::app::{App, FromApp, StartError};
use crate::clock::Context;
pub use crate::domain::recent_range::{RecentRange, time_zone};

/// Processes the operations of users. All of them only read.
#[derive(Debug, Clone)]
pub struct AnalysisService {
    pool: PgPool,
    context: Context,
}

impl AnalysisService {
    /// Creates a service that uses the database of `pool`.
    #[must_use]
    pub fn new(pool: PgPool, context: Context) -> Self {
        Self { pool, context }
    }
}

#[async_trait]
impl FromApp for AnalysisService {
    async fn from_app(app: &App) -> Result<Self, StartError> {
        Ok(Self::new(app.database()?, app.context()))
    }
}
