//! Metering, billing and monitoring of a VPN or proxy fleet.
//!
//! [`services`] contains the use cases, [`domain`] the pure rules, [`db`] the SQL, and [`events`]
//! the message formats. [`lambda`] and [`http`] connect them to Lambda and HTTP. Each function
//! under `functions/` connects one processor of this crate to its trigger.

pub mod app;
pub mod auth;
mod aws;
pub mod clock;
pub mod config;
pub mod db;
pub mod deadline;
pub mod domain;
pub mod error;
pub mod events;
pub mod http;
pub mod lambda;
pub mod node_protocol;
pub mod quote;
pub mod services;
pub mod telemetry;
