//! A request to stop (Ctrl-C, SIGTERM, SIGHUP). Every wait in this crate checks for it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;

static REQUESTED: OnceLock<Arc<AtomicBool>> = OnceLock::new();

/// Turns the signals that end a program into a request for an orderly stop. A second Ctrl-C ends
/// this program immediately, and the services that it started die with it (see [`super::Service`]).
pub fn listen() -> Result<()> {
    let requested = REQUESTED.get_or_init(Arc::default);
    flag::register_conditional_shutdown(SIGINT, 130, Arc::clone(requested))
        .context("Cannot handle Ctrl-C")?;
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        flag::register(signal, Arc::clone(requested)).context("Cannot handle signals")?;
    }
    Ok(())
}

/// Whether a stop was requested.
#[must_use]
pub fn requested() -> bool {
    REQUESTED
        .get()
        .is_some_and(|requested| requested.load(Ordering::Relaxed))
}

/// Waits until a stop is requested, or `check_alive` returns an error.
pub fn wait(mut check_alive: impl FnMut() -> Result<()>) -> Result<()> {
    while !requested() {
        check_alive()?;
        thread::sleep(Duration::from_millis(200));
    }
    Ok(())
}

/// Returns an error if a stop was requested, so that waits end.
pub fn check() -> Result<()> {
    if requested() {
        bail!("Stopped on request.");
    }
    Ok(())
}
