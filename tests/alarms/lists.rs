//! The consumers, and the alarms of each kind.

/// Consumers and their queues.
pub const CONSUMERS: [(&str, &str); 6] = [
    ("ingest-usage-report", "usage-report"),
    ("ingest-node-usage", "node-usage"),
    ("apply-user-usage-billing", "user-usage-billing"),
    ("handle-package-expiring", "package-expiring"),
    ("deliver-package-order", "package-order"),
    ("record-webhook-deliveries", "webhook-event"),
];

pub const UNMEASURED: [&str; 3] = ["BillingLag", "OutboxAge", "ParkedEvents"];
pub const OF_MESSAGES: [&str; 12] = [
    "UsageReportDeadLetters",
    "NodeUsageDeadLetters",
    "UserUsageBillingDeadLetters",
    "PackageExpiringDeadLetters",
    "PackageOrderDeadLetters",
    "WebhookEventDeadLetters",
    "UsageReportAge",
    "NodeUsageAge",
    "UserUsageBillingAge",
    "PackageExpiringAge",
    "PackageOrderAge",
    "WebhookEventAge",
];
pub const FAILURES: [&str; 6] = [
    "IngestUsageReportFailures",
    "IngestNodeUsageFailures",
    "ApplyUserUsageBillingFailures",
    "HandlePackageExpiringFailures",
    "DeliverPackageOrderFailures",
    "RecordWebhookDeliveriesFailures",
];
pub const ERRORS: [&str; 7] = [
    "JobErrors",
    "IngestUsageReportErrors",
    "IngestNodeUsageErrors",
    "ApplyUserUsageBillingErrors",
    "HandlePackageExpiringErrors",
    "DeliverPackageOrderErrors",
    "RecordWebhookDeliveriesErrors",
];
pub const REJECTED: [&str; 6] = [
    "UsageReportRejected",
    "NodeUsageRejected",
    "UserUsageBillingRejected",
    "PackageExpiringRejected",
    "PackageOrderRejected",
    "WebhookEventRejected",
];
