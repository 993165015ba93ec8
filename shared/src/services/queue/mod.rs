//! The consumers of the queues, one file per function.

pub mod apply_user_usage_billing;
pub mod deliver_package_order;
pub mod handle_package_expiring;
pub mod ingest_node_usage;
pub mod ingest_usage_report;
pub mod record_webhook_deliveries;
pub mod rejected_messages;

mod record_usage;
