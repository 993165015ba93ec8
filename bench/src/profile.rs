//! Time in the database by statement, from `pg_stat_statements`. A statement is named by its
//! leading comment.

use std::collections::BTreeMap;
use std::ops::AddAssign;

use anyhow::{Context as _, Result};
use serde::Serialize;
use sqlx::{FromRow, PgConnection, Row as _};

use crate::database::{Database, run};

const NEEDED: &str =
    "Times of statements need shared_preload_libraries=pg_stat_statements and a superuser.";
/// Maximum number of statements that are printed per stage.
pub const TOP: usize = 8;

#[derive(Debug, Clone, Copy, Default, Serialize, FromRow)]
pub struct Work {
    pub calls: i64,
    /// Total execution time in milliseconds.
    pub ms: f64,
    /// Number of rows returned or changed.
    pub rows: i64,
    /// Bytes of write-ahead log.
    pub wal_bytes: i64,
    /// Pages of tables and indexes that were read, from memory or from the disk.
    pub pages: i64,
}

impl AddAssign for Work {
    fn add_assign(&mut self, other: Self) {
        self.calls += other.calls;
        self.ms += other.ms;
        self.rows += other.rows;
        self.wal_bytes += other.wal_bytes;
        self.pages += other.pages;
    }
}

/// Statements of a stage by name.
pub type Stage = BTreeMap<String, Work>;

#[derive(Debug, Clone, Default, Serialize)]
pub struct Profile {
    pub ingest: Stage,
    pub bill: Stage,
    pub apply: Stage,
}

/// Reads and resets the statistics of a database between stages.
#[derive(Debug)]
pub struct Recorder {
    connection: PgConnection,
    pub profile: Profile,
}

impl Recorder {
    /// Resets `pg_stat_statements`, which needs a superuser.
    pub async fn start(database: &Database) -> Result<Self> {
        let mut connection = database.connect().await?;
        run(
            &mut connection,
            "create extension if not exists pg_stat_statements",
        )
        .await
        .context(NEEDED)?;
        let mut recorder = Self {
            connection,
            profile: Profile::default(),
        };
        recorder.reset().await.context(NEEDED)?;
        Ok(recorder)
    }

    async fn reset(&mut self) -> Result<()> {
        const RESET: &str = "select pg_stat_statements_reset(0, oid) from pg_database
            where datname = current_database()";
        run(&mut self.connection, RESET).await
    }

    /// Adds the statistics since the last call to a stage.
    pub async fn record(&mut self, stage: impl FnOnce(&mut Profile) -> &mut Stage) -> Result<()> {
        add(self.take().await?, stage(&mut self.profile));
        Ok(())
    }

    /// The statistics since the last call.
    pub async fn take(&mut self) -> Result<Stage> {
        const SINCE: &str = "
            select query, calls, total_exec_time as ms, rows, wal_bytes::bigint,
                shared_blks_hit + shared_blks_read as pages
            from pg_stat_statements
            where dbid = (select oid from pg_database where datname = current_database())";
        let rows = sqlx::query(SINCE).fetch_all(&mut self.connection).await?;
        let mut stage = Stage::new();
        for row in rows {
            let Some(name) = name(row.try_get("query")?) else {
                continue;
            };
            *stage.entry(name).or_default() += Work::from_row(&row)?;
        }
        self.reset().await?;
        Ok(stage)
    }
}

/// Adds the statements of one stage to another.
pub fn add(work: Stage, sum: &mut Stage) {
    for (name, work) in work {
        *sum.entry(name).or_default() += work;
    }
}

/// The name in a statement's leading comment. `None` if it is not a statement of the system.
fn name(query: &str) -> Option<String> {
    let (name, _) = query.trim_start().strip_prefix("/*")?.split_once("*/")?;
    Some(name.trim().to_owned())
}

/// The statements with the longest total time.
pub fn top(stage: &Stage) -> Vec<(&str, Work)> {
    let mut works: Vec<(&str, Work)> = stage
        .iter()
        .map(|(name, work)| (name.as_str(), *work))
        .collect();
    works.sort_by(|a, b| b.1.ms.total_cmp(&a.1.ms));
    works.truncate(TOP);
    works
}
