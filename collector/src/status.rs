//! The command `status`.

use std::io::Write;

use anyhow::{Context, Result};

use crate::clock::Now;
use crate::config::Config;
use crate::report::rfc3339;
use crate::spool::{Lock, SourceState, Spool, Summary};

/// Prints the state, as JSON or for people. Returns whether all is well.
pub fn status(config: &Config, json: bool, out: &mut impl Write) -> Result<bool> {
    let spool = Spool::open_read_only(&config.spool, config.server_id)?;
    let spool = spool.with_context(|| {
        format!(
            "There is no spool in {}. Has `telecom-collector run` been started?",
            config.spool.display()
        )
    })?;
    let summary = spool.summary(&config.names)?;
    let running = Lock::holder(&config.spool)?.is_some();
    if json {
        let mut value = serde_json::to_value(&summary)?;
        if let Some(object) = value.as_object_mut() {
            object.insert("running".to_owned(), running.into());
        }
        writeln!(out, "{value:#}")?;
    } else {
        print(&summary, running, Now::read().wall_ms, out)?;
    }
    let sources = summary.sources.iter().all(|source| source.error.is_none());
    let sent = summary.failure.is_none() && summary.refused_total == 0;
    Ok(running && sources && sent && summary.unknown_names_total == 0)
}

fn print(summary: &Summary, running: bool, now_ms: i64, out: &mut impl Write) -> Result<()> {
    let state = if running { "running" } else { "NOT RUNNING" };
    writeln!(out, "server {}: {state}", summary.server_id)?;
    writeln!(
        out,
        "last reading     {}",
        time(summary.read_at_ms, now_ms)?
    )?;
    print_sending(summary, now_ms, out)?;
    for source in &summary.sources {
        print_source(source, now_ms, out)?;
    }
    if summary.unknown_names_total > 0 {
        writeln!(
            out,
            "\n{} unknown names: their bytes wait until `users` or `users_file` maps the name, or \
             `ignore` lists it",
            summary.unknown_names_total
        )?;
    }
    for name in &summary.unknown_names {
        writeln!(
            out,
            "  {} {:?}: upload {}, download {}, since {}",
            name.source,
            name.name,
            name.upload,
            name.download,
            time(name.since_ms, now_ms)?
        )?;
    }
    print_refused(summary, now_ms, out)
}

fn print_sending(summary: &Summary, now_ms: i64, out: &mut impl Write) -> Result<()> {
    writeln!(
        out,
        "accepted         {} reports: upload {}, download {}; last {}",
        summary.sent_reports,
        summary.sent_upload,
        summary.sent_download,
        time(summary.sent_at_ms, now_ms)?
    )?;
    writeln!(
        out,
        "waiting          {} reports with {} lines; oldest since {}",
        summary.waiting_reports,
        summary.waiting_lines,
        time(summary.waiting_since_ms, now_ms)?
    )?;
    writeln!(
        out,
        "not reported yet upload {}, download {}",
        summary.pending_upload, summary.pending_download
    )?;
    writeln!(out, "spool            {} bytes", summary.spool_bytes)?;
    if let Some(failure) = &summary.failure {
        let what = if summary.token_rejected {
            "TOKEN REJECTED"
        } else {
            "CANNOT SEND"
        };
        let since = time(summary.failing_since_ms, now_ms)?;
        writeln!(out, "{what}: {failure}; since {since}")?;
    }
    Ok(())
}

fn print_source(source: &SourceState, now_ms: i64, out: &mut impl Write) -> Result<()> {
    writeln!(
        out,
        "source {}: {} counters, {} restarts, last reading {}",
        source.name,
        source.counters,
        source.restarts,
        time(source.read_at_ms, now_ms)?
    )?;
    if let Some(error) = &source.error {
        let since = time(source.error_since_ms, now_ms)?;
        writeln!(out, "  CANNOT READ: {error}; since {since}")?;
    }
    if let Some(warning) = &source.warning {
        writeln!(out, "  WARNING: {warning}")?;
    }
    if source.fallen_counters > 0 {
        writeln!(
            out,
            "  WARNING: {} counters fell without a restart. Another program resets them, and bytes \
             that it reads are lost here",
            source.fallen_counters
        )?;
    }
    Ok(())
}

fn print_refused(summary: &Summary, now_ms: i64, out: &mut impl Write) -> Result<()> {
    if summary.refused_total > 0 {
        writeln!(
            out,
            "\n{} refused reports: `telecom-collector requeue` sends them again",
            summary.refused_total
        )?;
    }
    for refused in &summary.refused {
        writeln!(
            out,
            "  {} {}: {}; {} lines, upload {}, download {}",
            refused.report_id,
            time(Some(refused.refused_at_ms), now_ms)?,
            refused.reason,
            refused.lines,
            refused.upload,
            refused.download
        )?;
    }
    Ok(())
}

/// An instant, and how long ago it is.
fn time(ms: Option<i64>, now_ms: i64) -> Result<String> {
    let Some(ms) = ms else {
        return Ok("never".to_owned());
    };
    let seconds = (now_ms - ms) / 1000;
    Ok(format!("{} ({seconds} s ago)", rfc3339(ms)?))
}
