//! Reads the sources at intervals, and stores what they counted.

use std::time::Duration;

use anyhow::Result;

use crate::clock::{ACCEPT_JUMP_AFTER_MS, Now, is_ahead};
use crate::config::SourceConfig;
use crate::machine::Machine;
use crate::names::Names;
use crate::sink::SinkClock;
use crate::source::{Observed, Sources};
use crate::spool::{Collected, Round, Spool};

/// Everything that a round needs.
#[derive(Debug)]
pub struct Reader {
    spool: Spool,
    sources: Sources,
    names: Names,
    machine: Machine,
    clock: SinkClock,
    report_every_ms: i64,
    max_bytes: i64,
    /// By the monotonic clock, when the next report is due.
    due_ms: i64,
    /// By the monotonic clock, since when the wall clock is ahead.
    ahead_since_ms: Option<i64>,
    full: bool,
    users_file_fails: bool,
}

/// What a reader is made of.
#[derive(Debug)]
pub struct Settings {
    pub sources: Vec<SourceConfig>,
    pub names: Names,
    pub report_every: Duration,
    pub max_bytes: i64,
    pub clock: SinkClock,
}

impl Reader {
    pub fn new(mut spool: Spool, settings: Settings) -> Result<Self> {
        let now = Now::read();
        let sources = settings.sources.iter();
        let identities = sources.map(|source| (source.name.as_str(), source.service.identity()));
        spool.add_sources(identities, &now)?;
        let report_every_ms = i64::try_from(settings.report_every.as_millis())?;
        let mut machine = Machine::default();
        // The use of the processors is known from the second measurement on.
        machine.measure();
        Ok(Self {
            due_ms: now.monotonic_ms + until_due(&spool, &now, report_every_ms)?,
            spool,
            sources: Sources::new(settings.sources)?,
            names: settings.names,
            machine,
            clock: settings.clock,
            report_every_ms,
            max_bytes: settings.max_bytes,
            ahead_since_ms: None,
            full: false,
            users_file_fails: false,
        })
    }

    /// Reads the sources once. Returns whether there are new reports. `last` says that this is the
    /// last time, so that a report is due.
    pub fn round(&mut self, last: bool) -> Result<bool> {
        if self.is_full()? {
            return Ok(false);
        }
        self.refresh_names();
        let observed = self.sources.read();
        let now = Now::read();
        let due = last || now.monotonic_ms >= self.due_ms;
        let trusted = self.trusts(&now)?;
        let collected = self.spool.collect(&Round {
            trusted,
            due,
            observed: &observed,
            names: &self.names,
            metrics: due.then(|| self.machine.measure()),
            now: &now,
        })?;
        if due {
            self.due_ms = now.monotonic_ms + self.report_every_ms;
        }
        log(&observed, &collected);
        Ok(collected.reports > 0)
    }

    fn is_full(&mut self) -> Result<bool> {
        let why = self.spool.full(Now::read().wall_ms, self.max_bytes)?;
        if let Some(why) = why.as_ref().filter(|_| !self.full) {
            tracing::error!("nothing is read until there is room: {why}");
        }
        self.full = why.is_some();
        Ok(self.full)
    }

    fn refresh_names(&mut self) {
        let refreshed = self.names.refresh();
        let failed_before = std::mem::replace(&mut self.users_file_fails, refreshed.is_err());
        if let Err(error) = refreshed
            && !failed_before
        {
            tracing::error!("the users are those of before: {error:#}");
        }
    }

    /// Whether the wall clock can be trusted.
    fn trusts(&mut self, now: &Now) -> Result<bool> {
        let sink_ms = self.clock.now_ms();
        if !is_ahead(now, self.spool.trusted()?.as_ref(), sink_ms) {
            self.ahead_since_ms = None;
            return Ok(true);
        }
        if self.ahead_since_ms.is_none() {
            tracing::error!("the clock jumped ahead by more than 5 minutes; reports wait");
        }
        let since_ms = *self.ahead_since_ms.get_or_insert(now.monotonic_ms);
        // Without the receiver's time, a correction of the clock looks the same as a fault.
        Ok(sink_ms.is_none() && now.monotonic_ms - since_ms >= ACCEPT_JUMP_AFTER_MS)
    }
}

/// The first report after a start continues the interval of the last one before.
fn until_due(spool: &Spool, now: &Now, report_every_ms: i64) -> Result<i64> {
    let Some(end_ms) = spool.period_end_ms()? else {
        return Ok(0);
    };
    Ok((end_ms + report_every_ms - now.wall_ms).clamp(0, report_every_ms))
}

fn log(observed: &[Observed], collected: &Collected) {
    for observed in observed {
        match &observed.reading {
            Ok(reading) => {
                let counters = reading.counters.len();
                tracing::debug!(source = observed.source, counters, "read");
            }
            Err(error) => tracing::warn!(source = observed.source, error, "cannot read"),
        }
    }
    for source in &collected.restarted {
        tracing::info!(
            source,
            "the node software was restarted and counts from zero"
        );
    }
    for source in &collected.fell {
        tracing::warn!(
            source,
            "counters fell without a restart: does another program reset them?"
        );
    }
}
