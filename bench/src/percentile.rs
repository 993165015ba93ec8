//! Percentiles of measured times.

use std::time::Duration;

/// A percentile of times in ascending order. Zero if there are none.
pub fn percentile(times: &[Duration], percent: usize) -> Duration {
    let time = times.get(times.len() * percent / 100);
    time.copied().unwrap_or_default()
}

/// Like [`percentile`], in milliseconds.
pub fn percentile_ms(times: &[Duration], percent: usize) -> f64 {
    percentile(times, percent).as_secs_f64() * 1e3
}
