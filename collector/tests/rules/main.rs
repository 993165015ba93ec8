//! What the collector promises, under crashes and faults of its surroundings.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::missing_panics_doc
)]

mod support;

mod commands;
mod conservation;
mod debian_v2ray;
mod killed;
mod memory;
mod other_sources;
