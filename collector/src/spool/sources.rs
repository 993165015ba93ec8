//! The last values of the sources.

use anyhow::Result;
use rusqlite::{Connection, OptionalExtension, Transaction, params};

use crate::clock::Now;
use crate::counters::{Bytes, Change, Last, Reading, compare};
use crate::start::Start;

/// What is known of a source.
#[derive(Debug)]
pub struct Known {
    pub added: Now,
    pub start: Option<Start>,
    /// `None` before the first reading.
    pub last: Option<Last>,
}

/// Adds a source. If its identity has changed, it is a new one, whose first reading is a baseline.
pub fn add(transaction: &Transaction<'_>, name: &str, identity: &str, now: &Now) -> Result<()> {
    let known: Option<String> = transaction
        .query_row(
            "select identity from source where name = ?1",
            [name],
            |row| row.get(0),
        )
        .optional()?;
    if known.as_deref() == Some(identity) {
        return Ok(());
    }
    if known.is_some() {
        tracing::warn!(
            source = name,
            "the source has changed; its next reading is a baseline"
        );
    }
    transaction.execute("delete from counter where source = ?1", [name])?;
    transaction.execute("delete from source where name = ?1", [name])?;
    transaction.execute(
        "insert into source (name, identity, added_wall_ms, added_monotonic_ms, added_boot)
        values (?1, ?2, ?3, ?4, ?5)",
        params![name, identity, now.wall_ms, now.monotonic_ms, now.boot],
    )?;
    Ok(())
}

/// `None` if there is no such source.
pub fn known(connection: &Connection, name: &str) -> Result<Option<Known>> {
    let sql = "select added_wall_ms, added_monotonic_ms, added_boot, start, read_at_ms
        from source where name = ?1";
    let found = connection.query_row(sql, [name], |row| {
        let added = Now {
            wall_ms: row.get(0)?,
            monotonic_ms: row.get(1)?,
            boot: row.get(2)?,
        };
        let start: Option<String> = row.get(3)?;
        let read_at_ms: Option<i64> = row.get(4)?;
        Ok((added, start, read_at_ms))
    });
    let Some((added, start, read_at_ms)) = found.optional()? else {
        return Ok(None);
    };
    let start = start.as_deref().map(serde_json::from_str).transpose()?;
    let last = read_at_ms.map(|_| last(connection, name)).transpose()?;
    Ok(Some(Known { added, start, last }))
}

fn last(connection: &Connection, name: &str) -> Result<Last> {
    let sql = "select key, upload, download from counter where source = ?1";
    let mut statement = connection.prepare_cached(sql)?;
    let rows = statement.query_map([name], |row| {
        let bytes = Bytes {
            upload: row.get(1)?,
            download: row.get(2)?,
        };
        Ok((row.get(0)?, bytes))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

impl Known {
    /// What a reading changes.
    #[must_use]
    pub fn change(&self, reading: &Reading) -> Change {
        let start = self.start.as_ref();
        let replaced = start.is_some_and(|start| reading.start.replaces(start));
        compare(self.last.as_ref(), reading, replaced, &self.added)
    }
}

/// Stores the values of a reading, and what was counted since the last one.
pub fn store(
    transaction: &Transaction<'_>,
    name: &str,
    known: &Known,
    reading: &Reading,
    now_ms: i64,
) -> Result<Change> {
    let change = known.change(reading);
    forget(transaction, name, &change)?;
    store_counters(transaction, name, known, reading, change.restarted)?;
    store_pending(transaction, name, &change, now_ms)?;
    let start = match reading.start {
        // A process that could not be found now may be found later.
        Start::Unknown => None,
        ref start => Some(serde_json::to_string(start)?),
    };
    transaction.execute(
        "update source set start = coalesce(?2, start), read_at_ms = ?3,
            restarts = restarts + ?4, fallen_counters = fallen_counters + ?5,
            error = null, error_since_ms = null, warning = ?6
        where name = ?1",
        params![
            name,
            start,
            now_ms,
            change.restarted,
            change.fell,
            reading.warning
        ],
    )?;
    Ok(change)
}

fn forget(transaction: &Transaction<'_>, name: &str, change: &Change) -> Result<()> {
    if change.restarted {
        transaction.execute("delete from counter where source = ?1", [name])?;
        return Ok(());
    }
    let sql = "delete from counter where source = ?1 and key = ?2";
    let mut delete = transaction.prepare_cached(sql)?;
    for key in &change.ended {
        delete.execute([name, key])?;
    }
    Ok(())
}

fn store_counters(
    transaction: &Transaction<'_>,
    name: &str,
    known: &Known,
    reading: &Reading,
    restarted: bool,
) -> Result<()> {
    let sql =
        "insert into counter (source, key, name, upload, download) values (?1, ?2, ?3, ?4, ?5)
        on conflict do update set name = excluded.name, upload = excluded.upload,
            download = excluded.download";
    let mut insert = transaction.prepare_cached(sql)?;
    let last = known.last.as_ref().filter(|_| !restarted);
    for counter in &reading.counters {
        let bytes = counter.bytes;
        if last.and_then(|last| last.get(&counter.key)) != Some(&bytes) {
            insert.execute(params![
                name,
                counter.key,
                counter.name,
                bytes.upload,
                bytes.download
            ])?;
        }
    }
    Ok(())
}

fn store_pending(
    transaction: &Transaction<'_>,
    name: &str,
    change: &Change,
    now_ms: i64,
) -> Result<()> {
    let sql = "insert into pending (source, name, upload, download, since_ms)
            values (?1, ?2, ?3, ?4, ?5)
        on conflict do update set upload = upload + excluded.upload,
            download = download + excluded.download";
    let mut insert = transaction.prepare_cached(sql)?;
    for (user, bytes) in &change.counted {
        insert.execute(params![name, user, bytes.upload, bytes.download, now_ms])?;
    }
    Ok(())
}

/// Stores why a source could not be read.
pub fn store_error(
    transaction: &Transaction<'_>,
    name: &str,
    error: &str,
    now_ms: i64,
) -> Result<()> {
    transaction.execute(
        "update source set error = ?2, error_since_ms = coalesce(error_since_ms, ?3)
        where name = ?1",
        params![name, error, now_ms],
    )?;
    Ok(())
}
