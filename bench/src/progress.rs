//! A line on standard error for every step, and signs of life for the long ones.

use std::io::{IsTerminal, Write, stderr};
use std::time::{Duration, Instant};

use anyhow::Result;

/// A step shorter than this shows nothing before its end.
const QUIET: Duration = Duration::from_secs(2);

/// Runs `work` and tells how it goes.
pub async fn step<T>(what: &str, work: impl Future<Output = Result<T>>) -> Result<T> {
    let began = Instant::now();
    let terminal = stderr().is_terminal();
    let pause = if terminal {
        Duration::from_secs(1)
    } else {
        Duration::from_secs(15)
    };
    let mut tick = tokio::time::interval_at((began + QUIET).into(), pause);
    let mut work = std::pin::pin!(work);
    let result = loop {
        tokio::select! {
            result = &mut work => break result,
            _ = tick.tick() => show(what, began.elapsed(), terminal),
        }
    };
    let mark = if result.is_ok() { "ok    " } else { "failed" };
    let start = if terminal { "\r\x1b[K" } else { "" };
    eprintln!(
        "{start}{mark} {what} ({:.1} s)",
        began.elapsed().as_secs_f32()
    );
    result
}

fn show(what: &str, elapsed: Duration, terminal: bool) {
    if terminal {
        eprint!("\r\x1b[K ...   {what} {} s", elapsed.as_secs());
        // A terminal that takes no line has no need of it.
        let _ = stderr().flush();
    } else {
        eprintln!(" ...   {what} ({} s so far)", elapsed.as_secs());
    }
}
