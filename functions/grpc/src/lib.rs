//! The gRPC server. It serves the processors of the HTTP API as the services of `telecom.v1`.

mod call;
mod call_log;
mod config;
mod connection;
mod convert;
pub mod health;
mod message;
mod metrics;
mod operation_manage;
mod operations;
mod pinned;
mod server;
mod services;
mod status;
mod unread;
mod watches;

pub use config::{GrpcConfig, TlsFiles};
pub use metrics::Metrics;
pub use server::{Listeners, Services, serve, serve_until};
