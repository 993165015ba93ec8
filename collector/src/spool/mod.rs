//! The spool: last values of counters, and reports that are not yet accepted, in SQLite.
//!
//! A commit is on the disk when it returns. Every change of the last values is one transaction with
//! the bytes that it implies.

mod collect;
mod database;
mod entries;
mod lock;
mod outlook;
mod reports;
mod sources;
mod state;
mod summary;

pub use collect::{Collected, Round};
pub use database::Spool;
pub use entries::Entry;
pub use lock::Lock;
pub use outlook::SourceOutlook;
pub use summary::{Refused, SourceState, Summary, UnknownName};

#[cfg(test)]
mod tests;
