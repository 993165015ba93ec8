//! What listens on 127.0.0.1: the choice of ports, and small HTTP servers.

pub mod http_server;
pub mod ports;

use scopeguard::{ScopeGuard, guard};
use tokio::runtime::{Builder, Runtime};

/// A runtime that serves in the background. Dropping it does not wait for requests in progress,
/// which may never be answered.
pub type Background = ScopeGuard<Runtime, fn(Runtime)>;

/// Starts a runtime with one thread.
pub fn background() -> std::io::Result<Background> {
    let runtime = Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    let stop: fn(Runtime) = Runtime::shutdown_background;
    Ok(guard(runtime, stop))
}
