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
    show_end(what, began, result.is_ok());
    result
}

/// Prints information that is not about a step.
pub fn note(text: &str) {
    eprintln!("       {text}");
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
            show_running(&what, began);
            pause = if terminal {
                Duration::from_millis(200)
            } else {
                REMINDER
            };
        }
    });
    (done, ticker)
}

/// Prints that a step is still running.
pub fn show_running(what: &str, began: Instant) {
    let seconds = began.elapsed().as_secs();
    if stderr().is_terminal() {
        eprint!("\r\x1b[K ...   {what} {seconds} s");
        // A failure to print must not stop the step.
        let _ = stderr().flush();
    } else {
        eprintln!(" ...   {what} ({seconds} s so far)");
    }
}

/// Prints the outcome and the duration of a step.
pub fn show_end(what: &str, began: Instant, success: bool) {
    let mark = if success { "ok    " } else { "failed" };
    let start = if stderr().is_terminal() {
        "\r\x1b[K"
    } else {
        ""
    };
    eprintln!(
        "{start}{mark} {what} ({:.1} s)",
        began.elapsed().as_secs_f32()
    );
}
