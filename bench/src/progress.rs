//! Prints one line per step to standard error, and the progress of long steps.

use std::io::{IsTerminal, stderr};
use std::time::{Duration, Instant};

use anyhow::Result;
use local::progress::{show_end, show_running};

/// A step shorter than this prints nothing before its end.
const QUIET: Duration = Duration::from_secs(2);

/// Runs `work` and prints the outcome and the duration when it ends.
pub async fn step<T>(what: &str, work: impl Future<Output = Result<T>>) -> Result<T> {
    let began = Instant::now();
    let pause = Duration::from_secs(if stderr().is_terminal() { 1 } else { 15 });
    let mut tick = tokio::time::interval_at((began + QUIET).into(), pause);
    let mut work = std::pin::pin!(work);
    let result = loop {
        tokio::select! {
            result = &mut work => break result,
            _ = tick.tick() => show_running(what, began),
        }
    };
    show_end(what, began, result.is_ok());
    result
}
