//! Verification of the recorded and billed amounts. The measurements are valid only if these are
//! exact.

use std::collections::HashMap;

use anyhow::{Result, ensure};
use sqlx::{PgConnection, Row as _};
use uuid::Uuid;

use crate::workload::Row;

/// Uploaded and downloaded bytes by user.
type ByUser = HashMap<Uuid, (i64, i64)>;

/// Expected contents of the database, according to what was sent.
#[derive(Debug)]
pub struct Expected {
    before: ByUser,
    rows: i64,
    raw: (i64, i64),
    billed: ByUser,
}

impl Expected {
    /// Reads the packages' counters, which may not start at zero.
    pub async fn start(connection: &mut PgConnection) -> Result<Self> {
        Ok(Self {
            before: counters(connection).await?,
            rows: 0,
            raw: (0, 0),
            billed: HashMap::new(),
        })
    }

    pub fn add(&mut self, rows: &[Row]) {
        for row in rows {
            self.rows += 1;
            self.raw = (self.raw.0 + row.upload, self.raw.1 + row.download);
            let billed = self.billed.entry(row.device.user_id).or_default();
            // Amounts are even, so that factors in halves bill whole bytes.
            *billed = (
                billed.0 + row.upload / 2 * row.device.halves,
                billed.1 + row.download / 2 * row.device.halves,
            );
        }
    }

    /// Compares the expected amounts with the raw rows, the hourly usage and every package's
    /// counters. Nothing may be left to bill or to send.
    pub async fn verify(&self, connection: &mut PgConnection) -> Result<()> {
        const LEFT: &str = "
            select (select count(*) from telecom.outbox)
                + (select count(*) from telecom.usage_report where billing_run_id is null
                and line_count > 0)";
        let raw = sums(connection, "traffic_usage", "").await?;
        ensure!(
            raw == (self.rows, self.raw),
            "Raw rows and bytes are {raw:?}, expected were {:?}.",
            (self.rows, self.raw)
        );
        let billed = self
            .billed
            .values()
            .fold((0, 0), |sum, user| (sum.0 + user.0, sum.1 + user.1));
        for (kind, expected) in [("raw", self.raw), ("billed", billed)] {
            let prefix = format!("{kind}_");
            let (_, hourly) = sums(connection, "user_package_usage", &prefix).await?;
            ensure!(
                hourly == expected,
                "Hourly usage has {hourly:?} {kind} bytes, expected were {expected:?}."
            );
        }
        self.verify_packages(connection).await?;
        let left: i64 = sqlx::query_scalar(LEFT).fetch_one(connection).await?;
        ensure!(
            left == 0,
            "{left} reports or messages remain to be billed or sent."
        );
        Ok(())
    }

    async fn verify_packages(&self, connection: &mut PgConnection) -> Result<()> {
        for (user, (upload, download)) in counters(connection).await? {
            let before = self.before.get(&user).copied().unwrap_or_default();
            let found = (upload - before.0, download - before.1);
            let expected = self.billed.get(&user).copied().unwrap_or_default();
            ensure!(
                found == expected,
                "The package of user {user} was charged {found:?} bytes instead of {expected:?}."
            );
        }
        Ok(())
    }
}

async fn counters(connection: &mut PgConnection) -> Result<ByUser> {
    const COUNTERS: &str = "
        select user_id, sum(upload_bytes)::bigint, sum(download_bytes)::bigint
        from telecom.package_queue group by user_id";
    let rows = sqlx::query(COUNTERS).fetch_all(connection).await?;
    rows.iter()
        .map(|row| Ok((row.try_get(0)?, (row.try_get(1)?, row.try_get(2)?))))
        .collect()
}

/// Number of rows, and the sums of the columns `<prefix>upload_bytes` and `<prefix>download_bytes`.
async fn sums(
    connection: &mut PgConnection,
    table: &str,
    prefix: &str,
) -> Result<(i64, (i64, i64))> {
    let statement = format!(
        "select count(*), coalesce(sum({prefix}upload_bytes), 0)::bigint, \
         coalesce(sum({prefix}download_bytes), 0)::bigint from telecom.{table}"
    );
    let row = sqlx::query(&statement).fetch_one(connection).await?;
    Ok((row.try_get(0)?, (row.try_get(1)?, row.try_get(2)?)))
}
