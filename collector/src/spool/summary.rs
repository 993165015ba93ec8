//! What `status` and the metrics show.

use anyhow::Result;
use rusqlite::Row;
use serde::Serialize;

use super::database::Spool;
use crate::names::{Meaning, Names};

/// How many rows of a list are shown.
const SHOWN: usize = 100;

/// The state of the spool. Instants are milliseconds since 1970.
#[derive(Debug, Serialize)]
pub struct Summary {
    pub server_id: i32,
    pub rounds: i64,
    pub read_at_ms: Option<i64>,
    pub spool_bytes: i64,
    pub waiting_reports: i64,
    pub waiting_lines: i64,
    /// Since when the oldest report waits.
    pub waiting_since_ms: Option<i64>,
    /// Bytes counted that are in no report yet, without those of unknown names.
    pub pending_upload: i64,
    pub pending_download: i64,
    pub sent_reports: i64,
    pub sent_upload: i64,
    pub sent_download: i64,
    pub sent_at_ms: Option<i64>,
    pub failing_since_ms: Option<i64>,
    pub failure: Option<String>,
    pub token_rejected: bool,
    pub sources: Vec<SourceState>,
    pub unknown_names_total: usize,
    pub unknown_upload: i64,
    pub unknown_download: i64,
    /// The first 100, by source and name.
    pub unknown_names: Vec<UnknownName>,
    pub refused_total: i64,
    /// The last 100, newest first.
    pub refused: Vec<Refused>,
}

#[derive(Debug, Serialize)]
pub struct SourceState {
    pub name: String,
    pub read_at_ms: Option<i64>,
    pub counters: i64,
    pub restarts: i64,
    /// How many counters fell without a restart: another program resets them.
    pub fallen_counters: i64,
    pub error: Option<String>,
    pub error_since_ms: Option<i64>,
    pub warning: Option<String>,
}

/// A name that stands for no user. Its bytes wait until it does.
#[derive(Debug, Serialize)]
pub struct UnknownName {
    pub source: String,
    pub name: String,
    pub upload: i64,
    pub download: i64,
    /// `None` if nothing was counted yet.
    pub since_ms: Option<i64>,
}

#[derive(Debug, Serialize)]
pub struct Refused {
    pub report_id: String,
    pub status: u16,
    pub reason: String,
    pub refused_at_ms: i64,
    pub period_start_ms: i64,
    pub period_end_ms: i64,
    pub lines: i64,
    pub upload: i64,
    pub download: i64,
}

impl Spool {
    pub fn summary(&self, names: &Names) -> Result<Summary> {
        let sql = "select server_id, rounds, read_at_ms, sent_reports, sent_upload, sent_download,
                sent_at_ms, failing_since_ms, failure, token_rejected
            from collector";
        let mut summary = self.connection.query_row(sql, [], |row| {
            Ok(Summary {
                server_id: row.get(0)?,
                rounds: row.get(1)?,
                read_at_ms: row.get(2)?,
                spool_bytes: 0,
                waiting_reports: 0,
                waiting_lines: 0,
                waiting_since_ms: None,
                pending_upload: 0,
                pending_download: 0,
                sent_reports: row.get(3)?,
                sent_upload: row.get(4)?,
                sent_download: row.get(5)?,
                sent_at_ms: row.get(6)?,
                failing_since_ms: row.get(7)?,
                failure: row.get(8)?,
                token_rejected: row.get(9)?,
                sources: Vec::new(),
                unknown_names_total: 0,
                unknown_upload: 0,
                unknown_download: 0,
                unknown_names: Vec::new(),
                refused_total: 0,
                refused: Vec::new(),
            })
        })?;
        summary.spool_bytes = self.used_bytes()?;
        self.add_waiting(&mut summary)?;
        self.add_names(&mut summary, names)?;
        summary.sources = self.source_states()?;
        summary.refused = self.refused()?;
        Ok(summary)
    }

    fn add_waiting(&self, summary: &mut Summary) -> Result<()> {
        let sql = "select count(*), coalesce(sum(lines), 0), min(queued_at_ms),
            (select count(*) from refused) from entry";
        self.connection.query_row(sql, [], |row| {
            summary.waiting_reports = row.get(0)?;
            summary.waiting_lines = row.get(1)?;
            summary.waiting_since_ms = row.get(2)?;
            summary.refused_total = row.get(3)?;
            Ok(())
        })?;
        Ok(())
    }

    /// Adds what is pending, and the names that stand for no user.
    fn add_names(&self, summary: &mut Summary, names: &Names) -> Result<()> {
        let sql = "select source, name, sum(upload), sum(download), max(since_ms) from (
                select source, name, 0 as upload, 0 as download, null as since_ms from counter
                union all select source, name, upload, download, since_ms from pending)
            group by source, name order by source, name";
        let mut statement = self.connection.prepare(sql)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let name = unknown_name(row)?;
            match names.meaning(&name.source, &name.name) {
                Meaning::Payer(_) => {
                    summary.pending_upload += name.upload;
                    summary.pending_download += name.download;
                }
                Meaning::Ignored => {}
                Meaning::Unknown => {
                    summary.unknown_names_total += 1;
                    summary.unknown_upload += name.upload;
                    summary.unknown_download += name.download;
                    if summary.unknown_names.len() < SHOWN {
                        summary.unknown_names.push(name);
                    }
                }
            }
        }
        Ok(())
    }

    fn source_states(&self) -> Result<Vec<SourceState>> {
        let sql = "select name, read_at_ms, restarts, fallen_counters, error, error_since_ms,
                warning, (select count(*) from counter where counter.source = source.name)
            from source order by name";
        let mut statement = self.connection.prepare(sql)?;
        let states = statement.query_map([], |row| {
            Ok(SourceState {
                name: row.get(0)?,
                read_at_ms: row.get(1)?,
                restarts: row.get(2)?,
                fallen_counters: row.get(3)?,
                error: row.get(4)?,
                error_since_ms: row.get(5)?,
                warning: row.get(6)?,
                counters: row.get(7)?,
            })
        })?;
        Ok(states.collect::<Result<_, _>>()?)
    }

    fn refused(&self) -> Result<Vec<Refused>> {
        let sql = "select report_id, status, reason, refused_at_ms, period_start_ms, period_end_ms,
                lines, upload, download
            from refused order by refused_at_ms desc, report_id limit ?1";
        let mut statement = self.connection.prepare(sql)?;
        let refused = statement.query_map([SHOWN], |row| {
            Ok(Refused {
                report_id: row.get(0)?,
                status: row.get(1)?,
                reason: row.get(2)?,
                refused_at_ms: row.get(3)?,
                period_start_ms: row.get(4)?,
                period_end_ms: row.get(5)?,
                lines: row.get(6)?,
                upload: row.get(7)?,
                download: row.get(8)?,
            })
        })?;
        Ok(refused.collect::<Result<_, _>>()?)
    }
}

fn unknown_name(row: &Row<'_>) -> rusqlite::Result<UnknownName> {
    Ok(UnknownName {
        source: row.get(0)?,
        name: row.get(1)?,
        upload: row.get(2)?,
        download: row.get(3)?,
        since_ms: row.get(4)?,
    })
}
