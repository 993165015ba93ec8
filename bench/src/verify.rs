//! The sums must be exact, or the numbers are worth nothing.

use std::collections::HashMap;

use anyhow::{Context as _, Result, ensure};
use sqlx::{PgConnection, Row as _};
use uuid::Uuid;

use crate::fleet::Device;
use crate::workload::Row;

/// Bytes of every user, up and down.
type ByUser = HashMap<Uuid, (i64, i64)>;

/// What must be in the database, told by what was sent.
#[derive(Debug)]
pub struct Account {
    before: ByUser,
    rows: i64,
    raw: (i64, i64),
    billed: ByUser,
}

impl Account {
    /// Opens it: counters that packages start with count apart.
    pub async fn open(connection: &mut PgConnection) -> Result<Self> {
        Ok(Self {
            before: counters(connection).await?,
            rows: 0,
            raw: (0, 0),
            billed: HashMap::new(),
        })
    }

    /// Adds rows that were sent.
    pub fn add(&mut self, devices: &[Device], rows: &[Row]) -> Result<()> {
        for row in rows {
            let device = devices
                .get(row.device)
                .context("There is no such device.")?;
            self.rows += 1;
            self.raw = (self.raw.0 + row.upload, self.raw.1 + row.download);
            let billed = self.billed.entry(device.user_id).or_default();
            // Bytes are even: factors in halves bill whole bytes.
            *billed = (
                billed.0 + row.upload / 2 * device.halves,
                billed.1 + row.download / 2 * device.halves,
            );
        }
        Ok(())
    }

    /// Compares it with raw rows, hourly usage and every package's counters; nothing may be left to
    /// bill or to send.
    pub async fn verify(&self, connection: &mut PgConnection) -> Result<()> {
        const LEFT: &str = "
            select (select count(*) from telecom.outbox)
                + (select count(*) from telecom.usage_report where billing_run_id is null
                and line_count > 0)";
        let raw = sums(
            connection,
            "upload_bytes",
            "download_bytes",
            "traffic_usage",
        )
        .await?;
        ensure!(
            raw == (self.rows, self.raw),
            "Raw rows and bytes are {raw:?}, sent were {:?}.",
            (self.rows, self.raw)
        );
        let hourly = sums(
            connection,
            "raw_upload_bytes",
            "raw_download_bytes",
            "user_package_usage",
        )
        .await?
        .1;
        ensure!(
            hourly == self.raw,
            "Hourly usage has {hourly:?} raw bytes, sent were {:?}.",
            self.raw
        );
        let billed = self
            .billed
            .values()
            .fold((0, 0), |sum, user| (sum.0 + user.0, sum.1 + user.1));
        let hourly = sums(
            connection,
            "billed_upload_bytes",
            "billed_download_bytes",
            "user_package_usage",
        )
        .await?
        .1;
        ensure!(
            hourly == billed,
            "Hourly usage has {hourly:?} billed bytes, due were {billed:?}."
        );
        self.verify_packages(connection).await?;
        let left: i64 = sqlx::query_scalar(LEFT).fetch_one(connection).await?;
        ensure!(
            left == 0,
            "{left} reports are not billed or messages not sent."
        );
        Ok(())
    }

    async fn verify_packages(&self, connection: &mut PgConnection) -> Result<()> {
        for (user, (upload, download)) in counters(connection).await? {
            let before = self.before.get(&user).copied().unwrap_or_default();
            let found = (upload - before.0, download - before.1);
            let due = self.billed.get(&user).copied().unwrap_or_default();
            ensure!(
                found == due,
                "The package of user {user} was charged {found:?} bytes, due were {due:?}."
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

async fn sums(
    connection: &mut PgConnection,
    up: &str,
    down: &str,
    table: &str,
) -> Result<(i64, (i64, i64))> {
    let statement = format!(
        "select count(*), coalesce(sum({up}), 0)::bigint, coalesce(sum({down}), 0)::bigint \
         from telecom.{table}"
    );
    let row = sqlx::query(&statement).fetch_one(connection).await?;
    Ok((row.try_get(0)?, (row.try_get(1)?, row.try_get(2)?)))
}
