//! Time and identifiers as inputs: every service takes a [`Clock`] and an [`IdSource`], so that a
//! test can hold the one still and count the other.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use uuid::Uuid;

/// Where "now" comes from, always in UTC.
pub trait Clock: Send + Sync + 'static {
    /// The present moment.
    fn now(&self) -> DateTime<Utc>;
}

/// Where new identifiers come from.
pub trait IdSource: Send + Sync + 'static {
    /// An identifier never given before.
    fn next_id(&self) -> Uuid;
}

/// The machine's clock, cut to the microsecond that PostgreSQL stores, and random, time-ordered
/// identifiers.
#[derive(Debug, Clone, Copy, Default)]
pub struct System;

impl Clock for System {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that reads the machine's clock"
    )]
    fn now(&self) -> DateTime<Utc> {
        let now = Utc::now();
        now.duration_trunc(TimeDelta::microseconds(1))
            .unwrap_or(now)
    }
}

impl IdSource for System {
    fn next_id(&self) -> Uuid {
        Uuid::now_v7()
    }
}

/// A clock that stands still until it is set, and identifiers that count up: for tests and
/// simulations.
#[derive(Debug)]
pub struct Fixed {
    now: std::sync::Mutex<DateTime<Utc>>,
    ids: AtomicU64,
}

impl Fixed {
    /// A clock that stands at `now`.
    #[must_use]
    pub fn at(now: DateTime<Utc>) -> Arc<Self> {
        Arc::new(Self {
            now: std::sync::Mutex::new(now),
            ids: AtomicU64::new(1),
        })
    }

    /// Moves the clock to `now`.
    pub fn set(&self, now: DateTime<Utc>) {
        *self
            .now
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner) = now;
    }
}

impl Clock for Fixed {
    fn now(&self) -> DateTime<Utc> {
        *self
            .now
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl IdSource for Fixed {
    fn next_id(&self) -> Uuid {
        Uuid::from_u64_pair(0, self.ids.fetch_add(1, Ordering::Relaxed))
    }
}

/// What services need from the outside besides the database: time and identifiers.
#[derive(Clone)]
pub struct Context {
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// The identifiers.
    pub ids: Arc<dyn IdSource>,
}

impl Context {
    /// The machine's clock and random identifiers.
    #[must_use]
    pub fn system() -> Self {
        Self {
            clock: Arc::new(System),
            ids: Arc::new(System),
        }
    }

    /// A clock and identifiers held by a test.
    #[must_use]
    pub fn fixed(fixed: &Arc<Fixed>) -> Self {
        let fixed = Arc::clone(fixed);
        Self {
            clock: fixed.clone(),
            ids: fixed,
        }
    }

    /// Now, by the clock.
    #[must_use]
    pub fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }
}

impl std::fmt::Debug for Context {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Context")
    }
}
