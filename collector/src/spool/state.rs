//! The row that belongs to no source.

use anyhow::Result;
use rusqlite::{Connection, Transaction, params};

use crate::clock::Now;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    pub server_id: i32,
    pub read_at_ms: Option<i64>,
    pub period_end_ms: Option<i64>,
    pub trusted: Option<Now>,
}

impl State {
    pub fn load(connection: &Connection) -> Result<Self> {
        let sql = "select server_id, read_at_ms, period_end_ms, trusted_wall_ms,
                trusted_monotonic_ms, trusted_boot
            from collector";
        let state = connection.query_row(sql, [], |row| {
            let wall_ms: Option<i64> = row.get(3)?;
            let trusted = wall_ms.map(|wall_ms| {
                Ok::<_, rusqlite::Error>(Now {
                    wall_ms,
                    monotonic_ms: row.get(4)?,
                    boot: row.get(5)?,
                })
            });
            Ok(Self {
                server_id: row.get(0)?,
                read_at_ms: row.get(1)?,
                period_end_ms: row.get(2)?,
                trusted: trusted.transpose()?,
            })
        });
        Ok(state?)
    }

    pub fn save(&self, transaction: &Transaction<'_>) -> Result<()> {
        let sql = "update collector set rounds = rounds + 1, read_at_ms = ?1, period_end_ms = ?2,
            trusted_wall_ms = ?3, trusted_monotonic_ms = ?4, trusted_boot = ?5";
        let trusted = self.trusted.as_ref();
        transaction.execute(
            sql,
            params![
                self.read_at_ms,
                self.period_end_ms,
                trusted.map(|now| now.wall_ms),
                trusted.map(|now| now.monotonic_ms),
                trusted.map(|now| &now.boot),
            ],
        )?;
        Ok(())
    }
}
