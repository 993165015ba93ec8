//! Prints one line per step to standard error. A step in progress shows its elapsed time on a
//! terminal, and an occasional reminder elsewhere.

use std::io::{IsTerminal, Write, stderr};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;

/// Where there is no terminal, a step shorter than this prints nothing before its end.
const QUIET: Duration = Duration::from_secs(2);
/// How often a long step prints a reminder where there is no terminal.
const REMINDER: Duration = Duration::from_secs(15);

/// Runs `work` and prints the outcome and the duration when it ends.
pub fn step<T>(what: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let began = Instant::now();
    let (done, ticker) = start_ticker(what.to_owned(), began);
    let result = work();
    drop(done);
    // If the ticker panicked, only its output is missing.
    let _ = ticker.join();
    let mark = if result.is_ok() { "ok    " } else { "failed" };
    eprintln!(
        "{}{mark} {what} ({:.1} s)",
        line_start(),
        began.elapsed().as_secs_f32()
    );
    result
}

/// Prints information that is not about a step.
pub fn note(text: &str) {
    eprintln!("       {text}");
}

fn line_start() -> &'static str {
    if stderr().is_terminal() {
        "\r\x1b[K"
    } else {
        ""
    }
}

fn start_ticker(what: String, began: Instant) -> (Sender<()>, thread::JoinHandle<()>) {
    let (done, finished) = channel::<()>();
    let terminal = stderr().is_terminal();
    let ticker = thread::spawn(move || {
        let mut pause = if terminal {
            Duration::from_millis(300)
        } else {
            QUIET
        };
        while finished.recv_timeout(pause) == Err(RecvTimeoutError::Timeout) {
            show(&what, began.elapsed(), terminal);
            pause = if terminal {
                Duration::from_millis(200)
            } else {
                REMINDER
            };
        }
    });
    (done, ticker)
}

fn show(what: &str, elapsed: Duration, terminal: bool) {
    if terminal {
        eprint!("\r\x1b[K ...   {what} {} s", elapsed.as_secs());
        let _ = stderr().flush();
    } else {
        eprintln!(" ...   {what} ({} s so far)", elapsed.as_secs());
    }
}
