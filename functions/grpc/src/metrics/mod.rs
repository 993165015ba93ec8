//! Metrics for Prometheus, on a port of their own.

mod calls;
mod exposition;
mod fleet;
mod http;

pub use calls::CountCalls;
pub use exposition::Metrics;
pub use http::serve_until;
