//! A wish to stop (Ctrl-C, SIGTERM, SIGHUP), which every wait in this crate looks at.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use anyhow::{Context, Result, bail};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;

static REQUESTED: OnceLock<Arc<AtomicBool>> = OnceLock::new();

/// Turns the signals that end a program into a request to stop in order. A second Ctrl-C ends it at
/// once; what it started dies with it (see [`crate::process`]).
pub fn listen() -> Result<()> {
    let requested = REQUESTED.get_or_init(Arc::default);
    flag::register_conditional_shutdown(SIGINT, 130, Arc::clone(requested))
        .context("Cannot handle Ctrl-C")?;
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        flag::register(signal, Arc::clone(requested)).context("Cannot handle signals")?;
    }
    Ok(())
}

/// Whether a stop was asked for.
#[must_use]
pub fn requested() -> bool {
    REQUESTED
        .get()
        .is_some_and(|requested| requested.load(Ordering::Relaxed))
}

/// An error if a stop was asked for; waits end with it.
pub fn check() -> Result<()> {
    if requested() {
        bail!("Stopped on request.");
    }
    Ok(())
}
