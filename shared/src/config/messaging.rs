//! Destinations of messages.

use super::optional;

/// Destinations of outgoing events. A function has only the destinations that it may write to. The
/// sweep has all of them.
#[derive(Debug, Clone, Default)]
pub struct MessagingConfig {
    /// `TELECOM_USER_USAGE_BILLING_QUEUE_URL`: queue of the route `telecom.user_usage_billing`.
    pub user_usage_billing_queue_url: Option<String>,
    /// `TELECOM_PACKAGE_EXPIRING_QUEUE_URL`: queue of the route `telecom.package_expiring`.
    pub package_expiring_queue_url: Option<String>,
    /// `TELECOM_NODE_USAGE_QUEUE_URL`: queue of what nodes and collectors report over HTTPS.
    pub node_usage_queue_url: Option<String>,
    /// `TELECOM_EVENT_BUS_NAME`: event bus for facts.
    pub event_bus_name: Option<String>,
}

impl MessagingConfig {
    /// Reads the variables, each of which is optional.
    #[must_use]
    pub fn from_env() -> Self {
        Self {
            user_usage_billing_queue_url: optional("TELECOM_USER_USAGE_BILLING_QUEUE_URL"),
            package_expiring_queue_url: optional("TELECOM_PACKAGE_EXPIRING_QUEUE_URL"),
            node_usage_queue_url: optional("TELECOM_NODE_USAGE_QUEUE_URL"),
            event_bus_name: optional("TELECOM_EVENT_BUS_NAME"),
        }
    }
}
