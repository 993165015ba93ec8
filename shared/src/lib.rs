//! The metering, billing and observability core of a VPN or proxy fleet.
//!
//! Decisions live in [`services`], rules in [`domain`], SQL in [`db`], bodies in [`events`];
//! [`lambda`] and [`http`] are the edges. A function under `functions/` names one processor of this
//! crate and its trigger.

pub mod app;
pub mod auth;
pub mod clock;
pub mod config;
pub mod db;
pub mod deadline;
pub mod domain;
pub mod error;
pub mod events;
pub mod http;
pub mod lambda;
pub mod quote;
pub mod services;
pub mod telemetry;
