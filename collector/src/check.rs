//! The command `check`: reads the sources and says what would be sent. It changes nothing.

use std::io::Write;

use anyhow::Result;

use crate::config::Config;
use crate::counters::{Bytes, Change, Reading};
use crate::names::{Meaning, Names};
use crate::sink;
use crate::source::{Observed, Sources};
use crate::spool::{SourceOutlook, Spool};

/// Prints what was read. Returns whether nothing needs attention.
pub fn check(config: Config, out: &mut impl Write) -> Result<bool> {
    let spool = Spool::open_read_only(&config.spool, config.server_id)?;
    if spool.is_none() {
        writeln!(
            out,
            "There is no spool in {} yet: the first readings of `run` are the baseline.",
            config.spool.display()
        )?;
    }
    let identities: Vec<_> = config
        .sources
        .iter()
        .map(|source| source.service.identity())
        .collect();
    let sources = Sources::new(config.sources)?;
    let mut well = true;
    if let Err(error) = sink::check(&config.sink) {
        writeln!(out, "CANNOT SEND: {error:#}")?;
        well = false;
    }
    for (observed, identity) in sources.read().iter().zip(&identities) {
        let outlook = match (&spool, &observed.reading) {
            (Some(spool), Ok(reading)) => spool.outlook(&observed.source, identity, reading)?,
            _ => SourceOutlook::Baseline,
        };
        well &= print(observed, &outlook, &config.names, out)?;
    }
    if let Some(spool) = spool {
        let (reports, pending) = spool.waiting_and_pending(&config.names)?;
        writeln!(
            out,
            "{reports} reports wait, and upload {}, download {} of earlier readings would be in \
             the next one",
            pending.upload, pending.download
        )?;
    }
    Ok(well)
}

fn print(
    observed: &Observed,
    outlook: &SourceOutlook,
    names: &Names,
    out: &mut impl Write,
) -> Result<bool> {
    let source = &observed.source;
    let reading = match &observed.reading {
        Ok(reading) => reading,
        Err(error) => {
            writeln!(out, "source {source}: CANNOT READ: {error}")?;
            return Ok(false);
        }
    };
    writeln!(out, "source {source}: {} counters", reading.counters.len())?;
    if let Some(warning) = &reading.warning {
        writeln!(out, "  WARNING: {warning}")?;
    }
    match outlook {
        SourceOutlook::Baseline => {
            writeln!(
                out,
                "  a first reading: nothing is reported, and all counters are the baseline"
            )?;
        }
        SourceOutlook::Change(change) => print_change(source, change, names, out)?,
    }
    print_unknown(source, reading, names, out)
}

fn print_change(source: &str, change: &Change, names: &Names, out: &mut impl Write) -> Result<()> {
    if change.restarted {
        writeln!(
            out,
            "  the node software was restarted and counts from zero"
        )?;
    }
    let mut counted: Vec<_> = change.counted.iter().collect();
    counted.sort_by_key(|(name, _)| *name);
    for (name, Bytes { upload, download }) in counted {
        if let Meaning::Payer(payer) = names.meaning(source, name) {
            let client = payer
                .client
                .map_or("lowest client".to_owned(), |id| format!("client {id}"));
            writeln!(
                out,
                "  would report {}, {client}: upload {upload}, download {download}",
                payer.user
            )?;
        }
    }
    Ok(())
}

fn print_unknown(
    source: &str,
    reading: &Reading,
    names: &Names,
    out: &mut impl Write,
) -> Result<bool> {
    let mut unknown: Vec<_> = reading
        .counters
        .iter()
        .filter(|counter| names.meaning(source, &counter.name) == Meaning::Unknown)
        .map(|counter| counter.name.as_str())
        .collect();
    unknown.sort_unstable();
    unknown.dedup();
    for name in &unknown {
        writeln!(
            out,
            "  UNKNOWN NAME {name:?}: its bytes would wait until it is mapped"
        )?;
    }
    Ok(unknown.is_empty())
}
