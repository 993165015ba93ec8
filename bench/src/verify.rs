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
    /// Number of raw rows before, and their bytes.
    raw_before: (i64, (i64, i64)),
    /// Bytes of hourly usage before, by kind.
    hourly_before: [(i64, i64); 2],
    rows: i64,
    raw: (i64, i64),
    billed: ByUser,
}

impl Expected {
    /// Reads what is there already.
    pub async fn start(connection: &mut PgConnection) -> Result<Self> {
        Ok(Self {
            before: counters(connection).await?,
            raw_before: sums(connection, "traffic_usage", "").await?,
            hourly_before: [
                hourly(connection, "raw").await?,
                hourly(connection, "billed").await?,
            ],
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
        let (rows, bytes) = self.raw_before;
        let expected = (rows + self.rows, plus(bytes, self.raw));
        ensure!(
            raw == expected,
            "Raw rows and bytes are {raw:?}, expected were {expected:?}."
        );
        let billed = self
            .billed
            .values()
            .fold((0, 0), |sum, user| plus(sum, *user));
        let kinds = [("raw", self.raw), ("billed", billed)];
        for ((kind, added), before) in kinds.into_iter().zip(self.hourly_before) {
            let hourly = hourly(connection, kind).await?;
            let expected = plus(before, added);
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

fn plus(one: (i64, i64), other: (i64, i64)) -> (i64, i64) {
    (one.0 + other.0, one.1 + other.1)
}

/// Bytes of hourly usage of a kind, `raw` or `billed`.
async fn hourly(connection: &mut PgConnection, kind: &str) -> Result<(i64, i64)> {
    let (_, bytes) = sums(connection, "user_package_usage", &format!("{kind}_")).await?;
    Ok(bytes)
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
