//! Destinations of messages.

use super::optional;
use crate::domain::dead_letter::Queue;

/// The variables with the URLs of the dead-letter queues.
const DEAD_LETTER_QUEUES: [(Queue, &str); 7] = [
    (
        Queue::UsageReport,
        "TELECOM_USAGE_REPORT_DEAD_LETTER_QUEUE_URL",
    ),
    (Queue::NodeUsage, "TELECOM_NODE_USAGE_DEAD_LETTER_QUEUE_URL"),
    (
        Queue::UserUsageBilling,
        "TELECOM_USER_USAGE_BILLING_DEAD_LETTER_QUEUE_URL",
    ),
    (
        Queue::PackageExpiring,
        "TELECOM_PACKAGE_EXPIRING_DEAD_LETTER_QUEUE_URL",
    ),
    (
        Queue::PackageOrder,
        "TELECOM_PACKAGE_ORDER_DEAD_LETTER_QUEUE_URL",
    ),
    (
        Queue::WebhookEvent,
        "TELECOM_WEBHOOK_EVENT_DEAD_LETTER_QUEUE_URL",
    ),
    (Queue::Schedule, "TELECOM_SCHEDULE_DEAD_LETTER_QUEUE_URL"),
];

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
    /// `TELECOM_<queue>_DEAD_LETTER_QUEUE_URL`: dead-letter queues whose messages are counted.
    pub dead_letter_queue_urls: Vec<(Queue, String)>,
}

impl MessagingConfig {
    /// Reads the variables, each of which is optional.
    #[must_use]
    pub fn from_env() -> Self {
        let dead_letter_queues = DEAD_LETTER_QUEUES.into_iter();
        Self {
            user_usage_billing_queue_url: optional("TELECOM_USER_USAGE_BILLING_QUEUE_URL"),
            package_expiring_queue_url: optional("TELECOM_PACKAGE_EXPIRING_QUEUE_URL"),
            node_usage_queue_url: optional("TELECOM_NODE_USAGE_QUEUE_URL"),
            event_bus_name: optional("TELECOM_EVENT_BUS_NAME"),
            dead_letter_queue_urls: dead_letter_queues
                .filter_map(|(queue, variable)| Some((queue, optional(variable)?)))
                .collect(),
        }
    }
}
