//! What travels between the system and its neighbours: bodies, their limits, and the outbox that
//! publishes them.

pub mod facts;
pub mod outbox;
pub mod package_expiring;
pub mod publisher;
pub mod usage_report;
pub mod user_usage_billing;

mod json;

pub use json::{PayloadHash, parse};
