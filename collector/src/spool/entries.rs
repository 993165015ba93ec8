//! The reports that wait, in order.

use anyhow::{Context, Result};
use rusqlite::{OptionalExtension, params};
use uuid::Uuid;

use super::database::Spool;

/// A report that waits. Its content never changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub seq: i64,
    pub report_id: Uuid,
    pub lines: i64,
    pub compressed: bool,
    pub content: Vec<u8>,
}

impl Spool {
    /// The report that waits longest.
    pub fn next_entry(&self) -> Result<Option<Entry>> {
        let sql = "select seq, report_id, lines, compressed, content from entry
            order by seq limit 1";
        let mut statement = self.connection.prepare_cached(sql)?;
        let found = statement.query_row([], |row| {
            let id: String = row.get(1)?;
            let entry = Entry {
                seq: row.get(0)?,
                report_id: Uuid::nil(),
                lines: row.get(2)?,
                compressed: row.get(3)?,
                content: row.get(4)?,
            };
            Ok((id, entry))
        });
        let Some((id, entry)) = found.optional()? else {
            return Ok(None);
        };
        let report_id = Uuid::try_parse(&id).context("the id of a stored report")?;
        Ok(Some(Entry { report_id, ..entry }))
    }

    /// Deletes a report that was accepted.
    pub fn accepted(&mut self, entry: &Entry, now_ms: i64) -> Result<()> {
        let transaction = self.begin()?;
        // Nothing is counted twice if the report was already deleted.
        transaction.execute(
            "update collector set sent_reports = sent_reports + 1,
                sent_upload = sent_upload + entry.upload,
                sent_download = sent_download + entry.download
            from entry where entry.seq = ?1",
            [entry.seq],
        )?;
        transaction.execute("delete from entry where seq = ?1", [entry.seq])?;
        transaction.execute(
            "update collector set sent_at_ms = ?1, failing_since_ms = null, failure = null,
                token_rejected = 0",
            [now_ms],
        )?;
        Ok(transaction.commit()?)
    }

    /// Sets a report aside that the receiver rejected for good.
    pub fn set_aside(
        &mut self,
        entry: &Entry,
        status: u16,
        reason: &str,
        now_ms: i64,
    ) -> Result<()> {
        let transaction = self.begin()?;
        transaction.execute(
            "insert into refused (report_id, period_start_ms, period_end_ms, lines, upload,
                download, compressed, content, status, reason, refused_at_ms)
            select report_id, period_start_ms, period_end_ms, lines, upload, download, compressed,
                content, ?2, ?3, ?4
            from entry where seq = ?1",
            params![entry.seq, status, reason, now_ms],
        )?;
        transaction.execute("delete from entry where seq = ?1", [entry.seq])?;
        Ok(transaction.commit()?)
    }

    /// Stores why no report can be sent at present.
    pub fn failed(&mut self, failure: &str, token_rejected: bool, now_ms: i64) -> Result<()> {
        self.connection.execute(
            "update collector set failing_since_ms = coalesce(failing_since_ms, ?1), failure = ?2,
                token_rejected = ?3",
            params![now_ms, failure, token_rejected],
        )?;
        Ok(())
    }

    /// Queues reports that were set aside again, unchanged: the one with this id, or all. Returns
    /// their number.
    pub fn requeue(&mut self, report_id: Option<Uuid>, now_ms: i64) -> Result<usize> {
        let id = report_id.map(|id| id.to_string());
        let transaction = self.begin()?;
        let queued = transaction.execute(
            "insert into entry (report_id, period_start_ms, period_end_ms, queued_at_ms, lines,
                upload, download, compressed, content)
            select report_id, period_start_ms, period_end_ms, ?2, lines, upload, download,
                compressed, content
            from refused where ?1 is null or report_id = ?1 order by period_start_ms",
            params![id, now_ms],
        )?;
        let sql = "delete from refused where ?1 is null or report_id = ?1";
        transaction.execute(sql, [id])?;
        transaction.commit()?;
        Ok(queued)
    }
}
