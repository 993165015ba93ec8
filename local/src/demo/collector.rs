//! Where the collectors' messages go.

use anyhow::{Context, Result};
use aws_config::BehaviorVersion;
use aws_sdk_sqs::types::SendMessageBatchRequestEntry;

/// Messages in one request, at most.
pub const MAX_MESSAGES: usize = 10;
/// Bytes of bodies in one request, at most: 1 MiB, less what is around them.
pub const MAX_REQUEST_BYTES: usize = 960 << 10;

/// Takes at most [`MAX_MESSAGES`] bodies of at most [`MAX_REQUEST_BYTES`] together.
pub trait Sink {
    /// Sends, and answers the positions of those that were refused. An error: nothing is known of
    /// any.
    fn send(&mut self, bodies: &[String]) -> impl Future<Output = Result<Vec<usize>>> + Send;
}

/// The usage-report queue.
#[derive(Debug, Clone)]
pub struct SqsSink {
    client: aws_sdk_sqs::Client,
    queue_url: String,
}

impl SqsSink {
    /// The queue at `queue_url`; `endpoint` as the SDK's own variables say, unless given. Region
    /// and credentials are the environment's.
    pub async fn new(queue_url: String, endpoint: Option<String>) -> Self {
        let mut loader = aws_config::defaults(BehaviorVersion::latest());
        if let Some(endpoint) = endpoint {
            loader = loader.endpoint_url(endpoint);
        }
        Self {
            client: aws_sdk_sqs::Client::new(&loader.load().await),
            queue_url,
        }
    }

    /// As [`Self::new`], to an emulator at `endpoint`: any region and credentials will do.
    #[must_use]
    pub fn emulator(queue_url: String, endpoint: &str) -> Self {
        let credentials =
            aws_sdk_sqs::config::Credentials::new("test", "test", None, None, "emulator");
        let config = aws_sdk_sqs::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(aws_sdk_sqs::config::Region::new("us-east-1"))
            .credentials_provider(credentials)
            .endpoint_url(endpoint)
            .build();
        Self {
            client: aws_sdk_sqs::Client::from_conf(config),
            queue_url,
        }
    }
}

impl Sink for SqsSink {
    async fn send(&mut self, bodies: &[String]) -> Result<Vec<usize>> {
        let entry = |(position, body): (usize, &String)| {
            SendMessageBatchRequestEntry::builder()
                .id(position.to_string())
                .message_body(body)
                .build()
        };
        let entries = bodies
            .iter()
            .enumerate()
            .map(entry)
            .collect::<Result<Vec<_>, _>>()?;
        let request = self
            .client
            .send_message_batch()
            .queue_url(&self.queue_url)
            .set_entries(Some(entries));
        let answer = request.send().await.context("SendMessageBatch failed")?;
        answer
            .failed
            .iter()
            .map(|failure| failure.id().parse().context("SQS answered an unknown id"))
            .collect()
    }
}
