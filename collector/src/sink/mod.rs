//! Where reports are sent.

mod https;
#[cfg(feature = "sqs")]
mod sqs;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Result;

use crate::clock::monotonic_ms;
use crate::config::SinkConfig;
use crate::spool::Entry;

/// How long a request may take.
pub const TIMEOUT: Duration = Duration::from_secs(30);

/// What became of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Accepted, now or by an earlier request with this id.
    Accepted,
    /// Rejected for good: the report itself is at fault.
    Refused { status: u16, reason: String },
    /// The report may be accepted later, or may have been accepted already.
    Failed {
        reason: String,
        token_rejected: bool,
        /// When the receiver wants the next request.
        retry_after: Option<Duration>,
    },
}

pub trait Sink: Send {
    /// Sends a report. May be called again with the same report.
    fn send(&mut self, entry: &Entry) -> Outcome;

    /// Asks for the receiver's time. The default does nothing.
    fn probe(&mut self) {}
}

/// The receiver's time, as far as it is known.
#[derive(Debug, Clone, Default)]
pub struct SinkClock(Arc<Mutex<Option<(i64, i64)>>>);

impl SinkClock {
    pub fn set(&self, sink_ms: i64) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *known = Some((sink_ms, monotonic_ms()));
    }

    /// Milliseconds since 1970 now.
    #[must_use]
    pub fn now_ms(&self) -> Option<i64> {
        let known = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (sink_ms, at_ms) = known?;
        Some(sink_ms + monotonic_ms() - at_ms)
    }
}

pub fn open(config: &SinkConfig, clock: SinkClock) -> Result<Box<dyn Sink>> {
    match config {
        SinkConfig::Https {
            url,
            token,
            ca_file,
        } => {
            let sink = https::Https::new(url, token.clone(), ca_file.as_deref(), clock)?;
            Ok(Box::new(sink))
        }
        #[cfg(feature = "sqs")]
        SinkConfig::Sqs { queue_url } => Ok(Box::new(sqs::Sqs::new(queue_url)?)),
        #[cfg(not(feature = "sqs"))]
        SinkConfig::Sqs { .. } => anyhow::bail!("built without the feature `sqs`"),
    }
}

/// Fails if the sink cannot be used as it is configured. Sends nothing.
pub fn check(config: &SinkConfig) -> Result<()> {
    if let SinkConfig::Https { token, .. } = config {
        https::check_token(token)?;
    }
    open(config, SinkClock::default()).map(drop)
}
