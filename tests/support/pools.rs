//! Pools over the database of a test.

use std::time::Duration;

use shared::config::{DatabaseConfig, DatabaseRole};
use shared::db;
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;

/// A pool over the database of `pool` that connects as `role`.
#[must_use]
pub fn pool_as(pool: &PgPool, role: DatabaseRole) -> PgPool {
    let config = DatabaseConfig::new(pool.connect_options().as_ref().clone(), 5);
    db::connect(&DatabaseConfig {
        role: Some(role),
        ..config
    })
}

/// A pool to an address at which no database listens.
#[must_use]
pub fn unreachable_pool() -> PgPool {
    let pool = PgPoolOptions::new().acquire_timeout(Duration::from_millis(20));
    pool.connect_lazy("postgres://nobody@127.0.0.1:9/none")
        .unwrap()
}
