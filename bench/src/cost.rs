//! What a stage costs beside time: processor time, and write-ahead log.

use std::fs;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde::Serialize;
use sqlx::PgConnection;

use crate::database::Database;

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
}

/// Measures the cost of the stages of a workload, one after the other.
#[derive(Debug)]
pub struct Meter {
    connection: PgConnection,
    last: Cost,
}

impl Meter {
    pub async fn start(database: &Database) -> Result<Self> {
        let mut connection = database.connect().await?;
        let last = total(&mut connection).await?;
        Ok(Self { connection, last })
    }

    /// Leaves out what was used since the last measurement.
    pub async fn skip(&mut self) -> Result<()> {
        self.last = total(&mut self.connection).await?;
        Ok(())
    }

    /// Adds what was used since the last measurement to `cost`.
    pub async fn add_to(&mut self, cost: &mut Cost) -> Result<()> {
        let now = total(&mut self.connection).await?;
        cost.ours += now.ours.saturating_sub(self.last.ours);
        cost.database += now.database.saturating_sub(self.last.database);
        cost.wal_bytes += now.wal_bytes.saturating_sub(self.last.wal_bytes);
        self.last = now;
        Ok(())
    }
}

/// What has been used since the start of the processes.
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
    })
}

/// Time that a process has spent in its own code and in the kernel. `None` if there is no such
/// process.
fn processor_time(pid: &str) -> Option<Duration> {
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
