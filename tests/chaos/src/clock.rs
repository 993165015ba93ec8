//! Time in a run. The clock of the simulated world runs faster than the machine's. The clocks of
//! the workers deviate from it.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use chrono::{DateTime, TimeDelta, Utc};
use shared::clock::{Clock, System};

/// A clock that runs `speed` times as fast as the machine's clock from the time it was set to.
#[derive(Debug)]
pub struct FastClock(Mutex<Setting>);

#[derive(Debug, Clone, Copy)]
struct Setting {
    time: DateTime<Utc>,
    set_at: Instant,
    speed: i32,
}

impl FastClock {
    pub fn new(speed: i32) -> Self {
        Self(Mutex::new(Setting {
            time: System.now(),
            set_at: Instant::now(),
            speed,
        }))
    }

    /// Sets the clock to `now_us`, in microseconds since the epoch.
    pub fn set(&self, now_us: i64, speed: i32) {
        let time = DateTime::from_timestamp_micros(now_us).unwrap_or_default();
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Setting {
            time,
            set_at: Instant::now(),
            speed,
        };
    }
}

impl Clock for FastClock {
    fn now(&self) -> DateTime<Utc> {
        let setting = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let elapsed_us = i64::try_from(setting.set_at.elapsed().as_micros()).unwrap_or(i64::MAX);
        setting.time + TimeDelta::microseconds(elapsed_us.saturating_mul(setting.speed.into()))
    }
}
