//! `AnalysisService`: what users are shown about their traffic and their nodes.

mod get_recent_traffic_usage;

use async_trait::async_trait;
use sqlx::PgPool;

pub use get_recent_traffic_usage::{GetRecentTrafficUsage, RecentRange, RecentTrafficUsage, TrafficBucket};

use crate::app::{App, FromApp, StartError};
use crate::clock::Context;

/// Answers users.
#[derive(Debug, Clone)]
pub struct AnalysisService {
    pool: PgPool,
    context: Context,
}

impl AnalysisService {
    /// Over a database.
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
