//! `Migrate`: updates the database to the schema that the code expects. A deployment runs it.

use async_trait::async_trait;
use serde::Serialize;
use sqlx::PgPool;

use super::Processor;
use crate::app::{App, FromApp, StartError};
use crate::clock::Context;
use crate::db::{self, maintenance};
use crate::error::Error;
use crate::services::cron::Run;
use crate::services::cron::maintain_storage::DAYS_AHEAD;

/// Applies the migrations and creates the first partitions. A repeated run does nothing.
#[derive(Debug, Clone)]
pub struct Migrate {
    pool: PgPool,
    context: Context,
}

/// State of the schema after a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Migrated {
    /// Version of the newest migration.
    pub version: i64,
    /// Number of partitions of raw rows that were missing and have been created.
    pub partitions_created: i32,
}

impl Migrate {
    /// Creates the service. `pool` must connect to the database directly and not through a proxy,
    /// because a migration takes a session lock.
    #[must_use]
    pub fn new(pool: PgPool, context: Context) -> Self {
        Self { pool, context }
    }
}

#[async_trait]
impl FromApp for Migrate {
    async fn from_app(app: &App) -> Result<Self, StartError> {
        Ok(Self::new(app.database()?, app.context()))
    }
}

#[async_trait]
impl Processor<Run> for Migrate {
    type Output = Migrated;

    #[tracing::instrument(name = "migrate", skip_all)]
    async fn process(&self, _: Run) -> Result<Migrated, Error> {
        let today = self.context.now().date_naive();
        let partitions_created = db::on_connection(&self.pool, async |connection| {
            db::migrate(connection).await?;
            maintenance::create_partitions(connection, today, DAYS_AHEAD).await
        })
        .await?;
        let version = db::MIGRATOR
            .iter()
            .map(|migration| migration.version)
            .max()
            .unwrap_or_default();
        Ok(Migrated {
            version,
            partitions_created,
        })
    }
}
