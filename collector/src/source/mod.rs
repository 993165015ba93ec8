//! The node software whose counters are read.

mod hysteria;
mod openvpn;
mod process;
mod stats_service;
mod wireguard;

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio::runtime::{Builder, Runtime};

use crate::config::{Service, SourceConfig};
use crate::counters::{Counter, Reading};

/// A source that does not respond within this time is read again in the next round.
pub const TIMEOUT: Duration = Duration::from_secs(5);
/// More counters than a machine can have users are a fault of the source.
const MAX_COUNTERS: usize = 200_000;
/// Longer names are no names of users.
const MAX_NAME_BYTES: usize = 512;

/// Reads all sources, one after the other.
#[derive(Debug)]
pub struct Sources {
    runtime: Runtime,
    sources: Vec<SourceConfig>,
}

/// What a source returned.
#[derive(Debug)]
pub struct Observed {
    pub source: String,
    /// The reading, or why there is none.
    pub reading: Result<Reading, String>,
}

impl Sources {
    pub fn new(sources: Vec<SourceConfig>) -> Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build();
        Ok(Self {
            runtime: runtime.context("Cannot start the runtime")?,
            sources,
        })
    }

    #[must_use]
    pub fn read(&self) -> Vec<Observed> {
        let observe = |source: &SourceConfig| Observed {
            source: source.name.clone(),
            reading: self
                .read_one(&source.service)
                .map_err(|error| format!("{error:#}")),
        };
        self.sources.iter().map(observe).collect()
    }

    fn read_one(&self, service: &Service) -> Result<Reading> {
        let reading = match service {
            Service::Stats { address, package } => self
                .runtime
                .block_on(stats_service::read(address, package))?,
            Service::Hysteria {
                address,
                secret,
                process,
            } => hysteria::read(address, secret.as_deref(), process.as_deref())?,
            Service::Wireguard { command, interface } => self
                .runtime
                .block_on(wireguard::read(command, interface.as_deref()))?,
            Service::Openvpn { path } => openvpn::read(path)?,
        };
        check(reading)
    }
}

fn check(reading: Reading) -> Result<Reading> {
    let count = reading.counters.len();
    ensure!(
        count <= MAX_COUNTERS,
        "{count} counters; at most {MAX_COUNTERS}"
    );
    let short = |counter: &Counter| counter.name.len().max(counter.key.len()) <= MAX_NAME_BYTES;
    ensure!(
        reading.counters.iter().all(short),
        "the name of a counter has more than {MAX_NAME_BYTES} bytes"
    );
    Ok(reading)
}
