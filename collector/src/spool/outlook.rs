//! What `check` needs: what a reading would change, without changing it.

use anyhow::Result;
use rusqlite::OptionalExtension;

use super::database::Spool;
use super::reports::Usage;
use super::sources;
use crate::counters::{Bytes, Change, Reading};
use crate::names::Names;

/// What a reading would do.
#[derive(Debug)]
pub enum SourceOutlook {
    Baseline,
    Change(Change),
}

impl Spool {
    pub fn outlook(&self, name: &str, identity: &str, reading: &Reading) -> Result<SourceOutlook> {
        let sql = "select identity from source where name = ?1";
        let stored: Option<String> = self
            .connection
            .query_row(sql, [name], |row| row.get(0))
            .optional()?;
        let known = sources::known(&self.connection, name)?;
        Ok(match known {
            Some(known) if known.last.is_some() && stored.as_deref() == Some(identity) => {
                SourceOutlook::Change(known.change(reading))
            }
            _ => SourceOutlook::Baseline,
        })
    }

    /// How many reports wait, and the bytes that are in no report yet.
    pub fn waiting_and_pending(&self, names: &Names) -> Result<(i64, Bytes)> {
        let sql = "select count(*) from entry";
        let waiting = self.connection.query_row(sql, [], |row| row.get(0))?;
        Ok((waiting, Usage::load(&self.connection, names)?.total()))
    }

    /// How often the sources were read.
    pub fn rounds(&self) -> Result<i64> {
        let sql = "select rounds from collector";
        Ok(self.connection.query_row(sql, [], |row| row.get(0))?)
    }
}
