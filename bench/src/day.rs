//! A day of usage, minute by minute, in a few minutes: whether the tables that charges update stay
//! as small and as fast as in the first hour.

use anyhow::{Context as _, Result};
use chrono::TimeDelta;
use serde::Serialize;
use shared::clock::{Clock, System};
use sqlx::{FromRow, PgConnection};

use crate::database::{Database, run_all};
use crate::fleet;
use crate::messaging::Messaging;
use crate::pipeline::Pipeline;
use crate::progress::step;
use crate::table::Table;
use crate::verify::Expected;
use crate::workload::{Collectors, Rhythm, past_hour};

/// The day passes about 200 times as fast as a day does, and so do the pauses of autovacuum, whose
/// default is a minute.
const SHORTEN_PAUSE: &str = "alter system set autovacuum_naptime = '1s'; select pg_reload_conf()";
const RESET_PAUSE: &str = "alter system reset autovacuum_naptime; select pg_reload_conf()";

/// Tables whose rows are updated, and their state. A day adds an hourly row per device and hour.
const TABLES: &str = "
select relname::text as name, n_live_tup as rows, n_tup_upd as updates,
    n_tup_hot_upd as heap_only, autovacuum_count as vacuums,
    pg_table_size(relid) as heap, pg_indexes_size(relid) as indexes
from pg_stat_user_tables
where schemaname = 'telecom' and n_tup_upd >= 1000
order by n_tup_upd desc, relname";

#[derive(Debug, Serialize)]
pub struct Day {
    /// Usage rows per second end to end, by hour.
    pub rows_per_second: Vec<f64>,
    /// The tables after the first hour, and after the last one.
    pub tables: [Vec<State>; 2],
}

/// A table whose rows are updated. Sizes are in bytes.
#[derive(Debug, Serialize, FromRow)]
pub struct State {
    pub name: String,
    pub rows: i64,
    /// Number of updates since the first minute.
    pub updates: i64,
    /// Number of updates that wrote no index.
    pub heap_only: i64,
    /// Number of runs of autovacuum.
    pub vacuums: i64,
    pub heap: i64,
    pub indexes: i64,
}

/// Processes the reports of each minute of `hours`.
pub async fn measure(database: &Database, rhythm: Rhythm, seed: u64, hours: u8) -> Result<Day> {
    let mut connection = database.connect().await?;
    fleet::seed(&mut connection).await?;
    run_all(&mut connection, SHORTEN_PAUSE)
        .await
        .context("The pauses of autovacuum can only be set by a superuser.")?;
    let day = minutes(database, &mut connection, rhythm, seed, hours).await;
    run_all(&mut connection, RESET_PAUSE).await?;
    day
}

async fn minutes(
    database: &Database,
    connection: &mut PgConnection,
    rhythm: Rhythm,
    seed: u64,
    hours: u8,
) -> Result<Day> {
    let devices = fleet::devices();
    let messaging = Messaging::start().await?;
    let mut pipeline = Pipeline::new(database, &messaging, 4, false).await?;
    let mut expected = Expected::start(connection).await?;
    let start = past_hour(System.now()) - TimeDelta::hours(hours.into());
    let mut collectors = Collectors::new(&devices, seed, start);
    let mut rows_per_second = Vec::new();
    let mut first = Vec::new();
    for hour in 1..=hours {
        let totals = step(&format!("Hour {hour} of {hours}"), async {
            for _ in 0..60 {
                let minute = collectors.minute(&rhythm)?;
                expected.add(&minute.rows);
                pipeline.minute(&minute).await?;
            }
            anyhow::Ok(pipeline.take_totals())
        })
        .await?;
        rows_per_second.push(totals.rate(totals.end_to_end()));
        if hour == 1 {
            first = states(connection).await?;
        }
    }
    step("Sums", expected.verify(connection)).await?;
    Ok(Day {
        rows_per_second,
        tables: [first, states(connection).await?],
    })
}

async fn states(connection: &mut PgConnection) -> Result<Vec<State>> {
    Ok(sqlx::query_as(TABLES).fetch_all(connection).await?)
}

impl Day {
    pub fn text(&self, markdown: bool) -> String {
        let speeds = self.rows_per_second.iter();
        let speeds: Vec<String> = speeds.map(|speed| format!("{speed:.0}")).collect();
        let mut table = Table::new(&[
            "after the first and the last hour",
            "rows",
            "updates",
            "heap-only %",
            "vacuums",
            "table MB",
            "indexes MB",
        ]);
        let [first, last] = &self.tables;
        for after in last {
            if let Some(before) = first.iter().find(|before| before.name == after.name) {
                table.push(before.cells());
            }
            table.push(after.cells());
        }
        format!(
            "Rows/s by hour: {}\n\n{}",
            speeds.join(", "),
            table.write(markdown)
        )
    }
}

impl State {
    fn cells(&self) -> Vec<String> {
        let megabytes =
            |bytes: i64| format!("{}.{}", bytes >> 20, ((bytes % (1 << 20)) * 10) >> 20);
        vec![
            self.name.clone(),
            self.rows.to_string(),
            self.updates.to_string(),
            (self.heap_only * 100 / self.updates.max(1)).to_string(),
            self.vacuums.to_string(),
            megabytes(self.heap),
            megabytes(self.indexes),
        ]
    }
}
