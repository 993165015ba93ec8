//! What a stage costs beside time: processor time, and write-ahead log.

use std::fs;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde::Serialize;
use sqlx::{PgConnection, PgPool};

use crate::database::{Database, flush_statistics};

/// Length of a tick of the processor times in `/proc`, the same on all usual Linux kernels.
const TICK: Duration = Duration::from_millis(10);

/// What was used, by this process and by the database.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Cost {
    /// Processor time of this process.
    pub ours: Duration,
    /// Processor time of the server processes of the database. Zero if the server runs on another
    /// machine.
    pub database: Duration,
    /// Bytes of write-ahead log.
    pub wal_bytes: u64,
    /// How often the server synchronized the write-ahead log with the disk.
    pub wal_syncs: u64,
}

/// With `open_sync` and `open_datasync` each write synchronizes, and PostgreSQL does not count it.
const SYNCS: &str = "select case when current_setting('wal_sync_method') like 'open%' \
    then wal_write else wal_sync end from pg_stat_wal";
/// [`SYNCS`] since PostgreSQL 18, which moved these columns.
const SYNCS_SINCE_18: &str = "select sum(case when current_setting('wal_sync_method') like 'open%' \
    then writes else fsyncs end)::bigint from pg_stat_io \
    where object = 'wal' and context = 'normal'";

/// Measures the cost of the stages of a workload, one after the other.
#[derive(Debug)]
pub struct Meter {
    connection: PgConnection,
    /// Pools whose connections flush their statistics before the synchronizations are counted.
    pools: Vec<PgPool>,
    /// The query for `wal_syncs`.
    syncs: &'static str,
    last: Cost,
}

impl Meter {
    pub async fn start(database: &Database) -> Result<Self> {
        let mut connection = database.connect().await?;
        let version = "select current_setting('server_version_num')::int";
        let version: i32 = sqlx::query_scalar(version)
            .fetch_one(&mut connection)
            .await?;
        let mut meter = Self {
            connection,
            pools: Vec::new(),
            syncs: if version < 180_000 {
                SYNCS
            } else {
                SYNCS_SINCE_18
            },
            last: Cost::default(),
        };
        meter.skip().await?;
        Ok(meter)
    }

    /// Counts the synchronizations of the log by these pools in the stage that caused them.
    pub fn with_pools(self, pools: Vec<PgPool>) -> Self {
        Self { pools, ..self }
    }

    /// Leaves out what was used since the last measurement.
    pub async fn skip(&mut self) -> Result<()> {
        let wal_syncs = self.wal_syncs().await?;
        let used = total(&mut self.connection).await?;
        self.last = Cost { wal_syncs, ..used };
        Ok(())
    }

    /// Adds what was used since the last measurement to `cost`.
    pub async fn add_to(&mut self, cost: &mut Cost) -> Result<()> {
        let used = total(&mut self.connection).await?;
        // Flushing the statistics also takes processor time.
        let wal_syncs = self.wal_syncs().await?;
        let now = Cost { wal_syncs, ..used };
        cost.ours += now.ours.saturating_sub(self.last.ours);
        cost.database += now.database.saturating_sub(self.last.database);
        cost.wal_bytes += now.wal_bytes.saturating_sub(self.last.wal_bytes);
        cost.wal_syncs += now.wal_syncs.saturating_sub(self.last.wal_syncs);
        self.last = now;
        Ok(())
    }

    async fn wal_syncs(&mut self) -> Result<u64> {
        for pool in &self.pools {
            flush_statistics(pool).await?;
        }
        let syncs: i64 = sqlx::query_scalar(self.syncs)
            .fetch_one(&mut self.connection)
            .await?;
        Ok(u64::try_from(syncs)?)
    }
}

/// What has been used since the start of the processes, without `wal_syncs`.
async fn total(connection: &mut PgConnection) -> Result<Cost> {
    const SERVER: &str = "select array(select pid from pg_stat_activity), \
        (pg_current_wal_insert_lsn() - '0/0')::bigint";
    let (pids, wal_bytes): (Vec<i32>, i64) = sqlx::query_as(SERVER).fetch_one(connection).await?;
    let database = pids
        .iter()
        .filter_map(|pid| processor_time(&pid.to_string()));
    Ok(Cost {
        ours: processor_time("self").context("/proc/self/stat cannot be read.")?,
        database: database.sum(),
        wal_bytes: u64::try_from(wal_bytes)?,
        wal_syncs: 0,
    })
}

/// Time that a process has spent in its own code and in the kernel. `None` if there is no such
/// process.
pub fn processor_time(pid: &str) -> Option<Duration> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, which is in parentheses, may contain blanks. Times are the 12th and 13th field
    // after it.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut times = fields.split_ascii_whitespace().skip(11);
    let ticks = times.next()?.parse::<u32>().ok()? + times.next()?.parse::<u32>().ok()?;
    Some(TICK * ticks)
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn the_time_of_a_busy_process_grows() {
        let before = processor_time("self").unwrap();
        let began = Instant::now();
        while processor_time("self").unwrap() == before {
            assert!(began.elapsed() < Duration::from_secs(10));
        }
        assert_eq!(processor_time("0"), None);
    }
}
