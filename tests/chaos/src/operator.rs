//! The operator runs SQL directly on the primary and retries it until it succeeds.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use sqlx::error::DatabaseError;
use sqlx::{Connection as _, PgConnection, PgPool};

/// How long a statement is retried.
const LIMIT: Duration = Duration::from_mins(1);

/// Connects as the owner of the database.
#[derive(Debug, Clone)]
pub struct Operator {
    port: Arc<AtomicU16>,
    name: &'static str,
}

impl Operator {
    pub fn new(port: Arc<AtomicU16>, name: &'static str) -> Self {
        Self { port, name }
    }

    pub async fn connect(&self) -> Result<PgConnection, sqlx::Error> {
        PgConnection::connect(&self.url()).await
    }

    /// Connections that are opened when they are needed.
    pub fn pool(&self) -> Result<PgPool, sqlx::Error> {
        PgPool::connect_lazy(&self.url())
    }

    fn url(&self) -> String {
        let port = self.port.load(Ordering::SeqCst);
        let name = self.name;
        format!(
            "postgres://telecom@127.0.0.1:{port}/telecom?sslmode=disable&application_name={name}"
        )
    }

    /// Runs `work` on new connections until it succeeds. `work` must be idempotent.
    pub async fn until_done<T>(
        &self,
        work: impl AsyncFn(&mut PgConnection) -> Result<T, sqlx::Error>,
    ) -> Result<T> {
        let began = Instant::now();
        loop {
            let result = match self.connect().await {
                Ok(mut connection) => {
                    let result = work(&mut connection).await;
                    // A broken connection cannot be closed cleanly.
                    let _ = connection.close().await;
                    result
                }
                Err(error) => Err(error),
            };
            match result {
                Ok(value) => return Ok(value),
                Err(error) if began.elapsed() > LIMIT || is_permanent(&error) => {
                    return Err(anyhow!("The operator's statement failed: {error}"));
                }
                Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            }
        }
    }
}

/// Whether the statement itself is wrong, so that a retry cannot succeed.
fn is_permanent(error: &sqlx::Error) -> bool {
    let code = error
        .as_database_error()
        .and_then(DatabaseError::code)
        .unwrap_or_default()
        .into_owned();
    ["22", "23", "42"].contains(&code.get(..2).unwrap_or_default())
}
