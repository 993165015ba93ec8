//! One round: new last values and new reports, in one transaction.

use anyhow::{Context, Result};
use rusqlite::Transaction;

use super::database::Spool;
use super::reports::{self, Circumstances};
use super::sources;
use super::state::State;
use crate::clock::Now;
use crate::machine::Metrics;
use crate::names::Names;
use crate::source::Observed;

/// While this many reports wait, another one is made only at the end of an hour. Usage belongs to
/// the hour in which its period ends, so hours must not be mixed, but minutes may be.
const CROWDED: i64 = 60;
const HOUR_MS: i64 = 3_600_000;
/// The receiver rejects older reports.
const MAX_AGE_MS: i64 = 35 * 24 * HOUR_MS;

/// What a round starts from.
#[derive(Debug)]
pub struct Round<'a> {
    pub now: &'a Now,
    /// Whether the wall clock can be trusted. If not, no report is made.
    pub trusted: bool,
    /// Whether it is time for a report.
    pub due: bool,
    pub observed: &'a [Observed],
    pub names: &'a Names,
    pub metrics: Option<Metrics>,
}

/// What a round did.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Collected {
    pub reports: usize,
    /// Sources that count from zero again.
    pub restarted: Vec<String>,
    /// Sources some counters of which fell without a restart.
    pub fell: Vec<String>,
}

impl Spool {
    /// Adds the sources that are new or have changed. Their next reading is a baseline.
    pub fn add_sources<'a>(
        &mut self,
        of: impl Iterator<Item = (&'a str, String)>,
        now: &Now,
    ) -> Result<()> {
        let transaction = self.begin()?;
        for (name, identity) in of {
            sources::add(&transaction, name, &identity, now)?;
        }
        Ok(transaction.commit()?)
    }

    pub fn collect(&mut self, round: &Round<'_>) -> Result<Collected> {
        let transaction = self.begin()?;
        let mut state = State::load(&transaction)?;
        let mut collected = Collected::default();
        if let Some(end_ms) = round.end_of_hour(&state) {
            // Before the new readings, which belong to the new hour.
            collected.reports += reports::make(&transaction, &mut state, &round.at(end_ms, false))?;
        }
        let read = round.store(&transaction, &mut collected)?;
        if read {
            state.read_at_ms = round.trusted.then_some(round.now.wall_ms);
        }
        if round.trusted {
            state.trusted = Some(round.now.clone());
            if read {
                state.period_end_ms.get_or_insert(round.now.wall_ms);
            }
            let waiting = waiting(&transaction)?;
            if round.due && waiting < CROWDED {
                // A heartbeat says that the node works, so it needs a source that could be read. A
                // late one says nothing, so it does not wait behind other reports.
                let heartbeat = read && waiting == 0;
                let of = round.at(round.now.wall_ms, heartbeat);
                collected.reports += reports::make(&transaction, &mut state, &of)?;
            }
        }
        state.save(&transaction)?;
        transaction.commit()?;
        Ok(collected)
    }

    /// Why nothing may be read, if the spool is full. Counters go on counting meanwhile.
    pub fn full(&self, now_ms: i64, max_bytes: i64) -> Result<Option<String>> {
        let bytes = self.used_bytes()?;
        if bytes >= max_bytes {
            return Ok(Some(format!(
                "the spool has {bytes} bytes; at most {max_bytes} (`spool_max_mib`)"
            )));
        }
        let sql = "select min(queued_at_ms) from entry";
        let oldest: Option<i64> = self.connection.query_row(sql, [], |row| row.get(0))?;
        let old = oldest.is_some_and(|oldest| now_ms - oldest >= MAX_AGE_MS);
        Ok(old.then(|| "the oldest report has waited for 35 days".to_owned()))
    }

    pub(super) fn used_bytes(&self) -> Result<i64> {
        let sql = "select (page_count - freelist_count) * page_size
            from pragma_page_count, pragma_freelist_count, pragma_page_size";
        Ok(self.connection.query_row(sql, [], |row| row.get(0))?)
    }

    /// The last clocks that were trusted.
    pub fn trusted(&self) -> Result<Option<Now>> {
        Ok(State::load(&self.connection)?.trusted)
    }

    /// The end of the last report's period.
    pub fn period_end_ms(&self) -> Result<Option<i64>> {
        Ok(State::load(&self.connection)?.period_end_ms)
    }
}

impl Round<'_> {
    /// When the hour changed since the last readings: the time of those.
    fn end_of_hour(&self, state: &State) -> Option<i64> {
        let read_at_ms = state.read_at_ms.filter(|_| self.trusted)?;
        let hour = |ms: i64| ms.div_euclid(HOUR_MS);
        let later = read_at_ms < self.now.wall_ms;
        (later && hour(read_at_ms) != hour(self.now.wall_ms)).then_some(read_at_ms)
    }

    fn at(&self, end_ms: i64, heartbeat: bool) -> Circumstances<'_> {
        Circumstances {
            end_ms,
            now_ms: self.now.wall_ms,
            names: self.names,
            metrics: self.metrics.as_ref(),
            heartbeat,
        }
    }

    /// Returns whether any source could be read.
    fn store(&self, transaction: &Transaction<'_>, collected: &mut Collected) -> Result<bool> {
        let now_ms = self.now.wall_ms;
        let mut read = false;
        for observed in self.observed {
            let name = &observed.source;
            let known = sources::known(transaction, name)?;
            let known = known.with_context(|| format!("the source {name} was not added"))?;
            match &observed.reading {
                Ok(reading) => {
                    let change = sources::store(transaction, name, &known, reading, now_ms)?;
                    read = true;
                    if change.restarted {
                        collected.restarted.push(name.clone());
                    }
                    if change.fell > 0 {
                        collected.fell.push(name.clone());
                    }
                }
                Err(error) => sources::store_error(transaction, name, error, now_ms)?,
            }
        }
        Ok(read)
    }
}

fn waiting(transaction: &Transaction<'_>) -> Result<i64> {
    Ok(transaction.query_row("select count(*) from entry", [], |row| row.get(0))?)
}
