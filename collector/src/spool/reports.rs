//! Making reports of what was counted.

use std::collections::{BTreeMap, HashSet};

use anyhow::Result;
use rusqlite::{Connection, Transaction, params};
use uuid::{NoContext, Timestamp, Uuid};

use super::state::State;
use crate::counters::Bytes;
use crate::machine::Metrics;
use crate::names::{Meaning, Names, Payer};
use crate::report::{Body, Period, bodies};

/// The receiver accepts periods of at most 35 days ago. One day is left for sending.
const MAX_PERIOD_MS: i64 = 34 * 24 * 3600 * 1000;

/// What was counted, with the rows that it came from.
#[derive(Debug, Default)]
pub struct Usage {
    pub lines: BTreeMap<Payer, Bytes>,
    rows: Vec<(String, String)>,
}

impl Usage {
    /// Leaves out names that are not known.
    pub fn load(connection: &Connection, names: &Names) -> Result<Self> {
        let sql = "select source, name, upload, download from pending";
        let mut statement = connection.prepare_cached(sql)?;
        let mut rows = statement.query([])?;
        let mut usage = Self::default();
        while let Some(row) = rows.next()? {
            let (source, name): (String, String) = (row.get(0)?, row.get(1)?);
            let bytes = Bytes {
                upload: row.get(2)?,
                download: row.get(3)?,
            };
            match names.meaning(&source, &name) {
                Meaning::Payer(payer) => *usage.lines.entry(payer).or_default() += bytes,
                Meaning::Ignored => {}
                Meaning::Unknown => continue,
            }
            usage.rows.push((source, name));
        }
        Ok(usage)
    }

    fn remove(&self, transaction: &Transaction<'_>) -> Result<()> {
        let sql = "delete from pending where source = ?1 and name = ?2";
        let mut delete = transaction.prepare_cached(sql)?;
        for (source, name) in &self.rows {
            delete.execute([source, name])?;
        }
        Ok(())
    }

    pub fn total(&self) -> Bytes {
        let mut total = Bytes::default();
        for bytes in self.lines.values() {
            total += *bytes;
        }
        total
    }
}

/// What a report needs besides the usage.
#[derive(Debug)]
pub struct Circumstances<'a> {
    pub end_ms: i64,
    pub now_ms: i64,
    pub names: &'a Names,
    pub metrics: Option<&'a Metrics>,
    /// Whether to make a report without usage.
    pub heartbeat: bool,
}

/// Turns what was counted into reports, and returns how many there are. `state` gets the end of
/// their period.
pub fn make(
    transaction: &Transaction<'_>,
    state: &mut State,
    of: &Circumstances<'_>,
) -> Result<usize> {
    let usage = Usage::load(transaction, of.names)?;
    usage.remove(transaction)?;
    if usage.lines.is_empty() && !of.heartbeat {
        return Ok(0);
    }
    // The wall clock may have been set back. The period then has no length, and no byte is lost.
    let end_ms = of.end_ms.max(state.period_end_ms.unwrap_or(i64::MIN));
    let start_ms = state.period_end_ms.unwrap_or(end_ms);
    let period = Period {
        server_id: state.server_id,
        start_ms: start_ms.max(end_ms.saturating_sub(MAX_PERIOD_MS)),
        end_ms,
    };
    let metrics = of
        .metrics
        .map(|metrics| with_usage(metrics, &usage, period));
    let reports = bodies(period, &usage.lines, metrics.as_ref(), || {
        report_id(of.now_ms)
    })?;
    for report in &reports {
        insert(transaction, report, period, of.now_ms)?;
    }
    state.period_end_ms = Some(end_ms);
    Ok(reports.len())
}

fn with_usage(metrics: &Metrics, usage: &Usage, period: Period) -> Metrics {
    let total = usage.total();
    let rate = |bytes: i64| {
        let length_ms = period.end_ms - period.start_ms;
        bytes.checked_mul(1000)?.checked_div(length_ms)
    };
    let users: HashSet<Uuid> = usage.lines.keys().map(|payer| payer.user).collect();
    Metrics {
        online_users: i64::try_from(users.len()).ok(),
        upload_rate: rate(total.upload),
        download_rate: rate(total.download),
        ..metrics.clone()
    }
}

/// Ids of reports are made once, here, and are the same at every attempt to send.
fn report_id(now_ms: i64) -> Uuid {
    let ms = u64::try_from(now_ms).unwrap_or(0);
    let nanoseconds = u32::try_from(ms % 1000 * 1_000_000).unwrap_or(0);
    Uuid::new_v7(Timestamp::from_unix(NoContext, ms / 1000, nanoseconds))
}

fn insert(transaction: &Transaction<'_>, report: &Body, period: Period, now_ms: i64) -> Result<()> {
    let sql = "insert into entry (report_id, period_start_ms, period_end_ms, queued_at_ms, lines,
            upload, download, compressed, content)
        values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
    transaction.execute(
        sql,
        params![
            report.report_id.to_string(),
            period.start_ms,
            period.end_ms,
            now_ms,
            report.lines,
            report.bytes.upload,
            report.bytes.download,
            report.compressed,
            report.content,
        ],
    )?;
    Ok(())
}
