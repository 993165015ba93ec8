//! Reads the traffic counters of a node's software and reports each byte exactly once.
//!
//! [`reader`] reads the counters and stores new last values and reports in the [`spool`], in one
//! transaction. [`sender`] sends the reports in order. A process that dies between any two steps
//! continues where it was, because every step is either a transaction or a request that may be
//! repeated.
#![allow(
    missing_docs,
    reason = "a tool of this workspace: a doc comment stands where the name does not say it all"
)]

pub mod check;
pub mod cli;
pub mod clock;
pub mod config;
pub mod counters;
pub mod machine;
pub mod metrics;
pub mod names;
pub mod read_now;
pub mod reader;
pub mod report;
pub mod run;
pub mod sender;
pub mod sink;
pub mod source;
pub mod spool;
pub mod start;
pub mod status;
