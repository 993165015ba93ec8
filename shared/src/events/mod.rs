//! Messages exchanged with other systems: their formats and limits, and the publisher of the
//! outbox.

pub mod facts;
pub mod node_usage;
pub mod outbox;
pub mod package_expiring;
pub mod package_order;
pub mod publisher;
pub mod usage_report;
pub mod user_usage_billing;
pub mod webhook;

mod json;

pub use json::{PayloadHash, parse};
