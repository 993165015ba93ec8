//! Time and identifiers as dependencies. Every service takes a [`Clock`] and an [`IdSource`], which
//! a test replaces by deterministic ones.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use uuid::Uuid;

/// A source of the current time in UTC.
pub trait Clock: Send + Sync + 'static {
    /// The current time. [`System`] truncates it to microseconds.
    fn now(&self) -> DateTime<Utc>;
}

/// A source of new identifiers.
pub trait IdSource: Send + Sync + 'static {
    /// An identifier that was never returned before.
    fn next_id(&self) -> Uuid;
}

/// The system clock, truncated to microseconds as PostgreSQL stores them, and random, time-ordered
/// identifiers.
#[derive(Debug, Clone, Copy, Default)]
pub struct System;

impl Clock for System {
    #[expect(
        clippy::disallowed_methods,
        reason = "the only place that reads the system clock"
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

/// A clock that changes only when it is set, and identifiers that count up. For tests and
/// simulations.
#[derive(Debug)]
pub struct Fixed {
    now: std::sync::Mutex<DateTime<Utc>>,
    ids: AtomicU64,
}

impl Fixed {
    /// A clock whose time is `now`.
    #[must_use]
    pub fn at(now: DateTime<Utc>) -> Arc<Self> {
        Arc::new(Self {
            now: std::sync::Mutex::new(now),
            ids: AtomicU64::new(1),
        })
    }

    /// Sets the time to `now`.
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

/// The source of time and the source of identifiers of a service.
#[derive(Clone)]
pub struct Context {
    /// Source of the current time.
    pub clock: Arc<dyn Clock>,
    /// Source of new identifiers.
    pub ids: Arc<dyn IdSource>,
}

impl Context {
    /// The system clock and random identifiers.
    #[must_use]
    pub fn system() -> Self {
        Self {
            clock: Arc::new(System),
            ids: Arc::new(System),
        }
    }

    /// The clock and the identifiers of a test.
    #[must_use]
    pub fn fixed(fixed: &Arc<Fixed>) -> Self {
        let fixed = Arc::clone(fixed);
        Self {
            clock: fixed.clone(),
            ids: fixed,
        }
    }

    /// The current time of the clock.
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
