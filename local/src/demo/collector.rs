//! Destinations of the collectors' messages.

use anyhow::{Context, Result};
use aws_sdk_sqs::types::SendMessageBatchRequestEntry;

/// Maximum number of messages per request.
pub const MAX_MESSAGES: usize = 10;
/// Maximum total size of the bodies in a request, in bytes: 1 MiB, less what surrounds the bodies.
pub const MAX_REQUEST_BYTES: usize = 960 << 10;

/// Accepts at most [`MAX_MESSAGES`] bodies of at most [`MAX_REQUEST_BYTES`] in total.
pub trait Sink {
    /// Sends `bodies` and returns the positions of those that were refused. After an error, any of
    /// them may have arrived.
    fn send(&mut self, bodies: &[String]) -> impl Future<Output = Result<Vec<usize>>> + Send;
}

/// Sends to the usage-report queue.
#[derive(Debug, Clone)]
pub struct SqsSink {
    pub client: aws_sdk_sqs::Client,
    pub queue_url: String,
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
            .map(|failure| failure.id().parse().context("SQS returned an unknown id"))
            .collect()
    }
}
