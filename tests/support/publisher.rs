//! Publishers whose AWS is unreachable or at an address of the test.

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_sqs::config::{Credentials, SharedCredentialsProvider};
use shared::config::MessagingConfig;
use shared::domain::dead_letter::Queue;
use shared::events::publisher::Publisher;
use strum::VariantArray;

/// A publisher without credentials. As in an outage, all messages stay in the outbox. No time is
/// lost on attempts to send.
#[must_use]
pub fn unreachable_publisher() -> Publisher {
    publisher(&aws("http://127.0.0.1:9"), "http://127.0.0.1:9")
}

/// A publisher whose queues and bus are at `endpoint`.
#[must_use]
pub fn publisher_to(endpoint: &str) -> Publisher {
    publisher(&aws_at(endpoint), endpoint)
}

/// A publisher that knows only dead-letter queues, each by its name at `endpoint`.
#[must_use]
pub fn publisher_with_dead_letter_queues(endpoint: &str) -> Publisher {
    let url = |queue: &Queue| format!("{endpoint}/{}-dlq", <&str>::from(*queue));
    let config = MessagingConfig {
        dead_letter_queue_urls: Queue::VARIANTS
            .iter()
            .map(|queue| (*queue, url(queue)))
            .collect(),
        ..MessagingConfig::default()
    };
    Publisher::new(&aws_at(endpoint), config)
}

/// AWS configuration of a function whose AWS is at `endpoint`.
#[must_use]
pub fn aws_at(endpoint: &str) -> SdkConfig {
    let credentials = Credentials::new("test", "test", None, None, "test");
    let credentials = SharedCredentialsProvider::new(credentials);
    aws(endpoint)
        .into_builder()
        .credentials_provider(credentials)
        .build()
}

fn aws(endpoint: &str) -> SdkConfig {
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::from_static("us-east-1"))
        .endpoint_url(endpoint)
        .build()
}

fn publisher(aws: &SdkConfig, endpoint: &str) -> Publisher {
    let url = || Some(format!("{endpoint}/queue"));
    let config = MessagingConfig {
        user_usage_billing_queue_url: url(),
        package_expiring_queue_url: url(),
        node_usage_queue_url: url(),
        event_bus_name: Some("telecom".into()),
        dead_letter_queue_urls: Vec::new(),
    };
    Publisher::new(aws, config)
}
