//! Sends outbox messages to SQS and EventBridge in requests within the limits of these services.

use std::collections::HashMap;

use aws_config::SdkConfig;
use aws_sdk_eventbridge::types::PutEventsRequestEntry;
use aws_sdk_sqs::types::{
    MessageSystemAttributeNameForSends, MessageSystemAttributeValue, QueueAttributeName,
    SendMessageBatchRequestEntry,
};
use futures::future;
use futures::stream::{self, StreamExt};
use uuid::Uuid;

use super::facts;
use super::node_usage::NodeUsage;
use super::outbox::{Destination, OutboxMessage};
use crate::config::MessagingConfig;
use crate::domain::dead_letter::Queue;
use crate::error::{Error, chain};
use crate::telemetry::Cause;

/// Maximum number of entries in a request, for SQS and for EventBridge.
const MAX_ENTRIES: usize = 10;
/// Maximum size of the bodies in a request. Both services allow 1 MiB including the metadata of the
/// entries, for which this leaves room.
const MAX_REQUEST_BYTES: usize = 960 << 10;
/// Maximum number of concurrent requests.
const PARALLEL_REQUESTS: usize = 4;

/// The outcome of publishing messages.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Published {
    /// Ids of the messages that were sent.
    pub sent: Vec<Uuid>,
    /// Ids of the messages that were not sent, with the reason.
    pub failed: Vec<(Uuid, String)>,
}

/// Sends messages to the queues and the event bus.
#[derive(Debug, Clone)]
pub struct Publisher {
    sqs: aws_sdk_sqs::Client,
    eventbridge: aws_sdk_eventbridge::Client,
    config: MessagingConfig,
}

impl Publisher {
    /// A publisher to the destinations in `config`. A message to any other destination fails.
    #[must_use]
    pub fn new(aws: &SdkConfig, config: MessagingConfig) -> Self {
        Self {
            sqs: aws_sdk_sqs::Client::new(aws),
            eventbridge: aws_sdk_eventbridge::Client::new(aws),
            config,
        }
    }

    /// Sends messages. Does not fail as a whole: the outcome lists each message as sent or failed.
    pub async fn publish(&self, messages: Vec<OutboxMessage>) -> Published {
        let mut requests = stream::iter(pack_by_destination(messages))
            .map(|request| self.send(request))
            .buffer_unordered(PARALLEL_REQUESTS);
        let mut published = Published::default();
        while let Some(outcome) = requests.next().await {
            published.sent.extend(outcome.sent);
            published.failed.extend(outcome.failed);
        }
        published
    }

    async fn send(&self, request: Vec<OutboxMessage>) -> Published {
        let ids: Vec<Uuid> = request.iter().map(|message| message.id).collect();
        let failures = match request.first().map(|message| message.destination) {
            None => Ok(HashMap::new()),
            Some(Destination::EventBus) => self.put_events(request).await,
            Some(Destination::UserUsageBilling) => {
                let queue_url = self.config.user_usage_billing_queue_url.as_ref();
                self.send_messages(queue_url, of_queue(request)).await
            }
            Some(Destination::PackageExpiring) => {
                let queue_url = self.config.package_expiring_queue_url.as_ref();
                self.send_messages(queue_url, of_queue(request)).await
            }
        };
        match failures {
            Ok(mut failures) => {
                let (failed, sent): (Vec<Uuid>, Vec<Uuid>) =
                    ids.into_iter().partition(|id| failures.contains_key(id));
                let failed = failed
                    .into_iter()
                    .map(|id| (id, failures.remove(&id).unwrap_or_default()))
                    .collect();
                Published { sent, failed }
            }
            Err(error) => Published {
                sent: Vec::new(),
                failed: ids.into_iter().map(|id| (id, error.clone())).collect(),
            },
        }
    }

    /// Sends what nodes reported to the queue `node-usage`. An error if one of the messages may not
    /// have been sent. The others may have been sent then, and may be sent again: the consumer
    /// recognizes repeats.
    pub async fn send_node_usage(&self, usages: &[NodeUsage]) -> Result<(), Error> {
        let trace = Cause::current().and_then(|cause| cause.header());
        let message = |usage: &NodeUsage| {
            Ok(QueueMessage {
                id: usage.push_id,
                body: usage.body()?,
                trace: trace.clone(),
            })
        };
        let messages = usages
            .iter()
            .map(message)
            .collect::<Result<Vec<_>, Error>>()?;
        let queue_url = self.config.node_usage_queue_url.as_ref();
        let mut requests = stream::iter(pack(messages, |message| message.body.len(), |_, _| true))
            .map(|request| self.send_messages(queue_url, request))
            .buffer_unordered(PARALLEL_REQUESTS);
        while let Some(rejected) = requests.next().await {
            if let Some(reason) = rejected.map_err(Error::unavailable)?.into_values().next() {
                return Err(Error::unavailable(reason));
            }
        }
        Ok(())
    }

    /// Counts the messages in the dead-letter queues of the configuration, approximately as SQS
    /// does. A queue that cannot be counted is logged and left out.
    pub async fn count_dead_letters(&self) -> Vec<(Queue, i64)> {
        let queues = self.config.dead_letter_queue_urls.iter();
        let counts = queues.map(|(queue, url)| self.count_dead_letters_of(*queue, url));
        let counts = future::join_all(counts).await;
        counts.into_iter().flatten().collect()
    }

    async fn count_dead_letters_of(&self, queue: Queue, queue_url: &str) -> Option<(Queue, i64)> {
        let counted = self.count_messages(queue_url).await;
        counted
            .map(|messages| (queue, messages))
            .inspect_err(|cause| tracing::warn!(?queue, cause, "cannot count dead letters"))
            .ok()
    }

    async fn count_messages(&self, queue_url: &str) -> Result<i64, String> {
        let request = self
            .sqs
            .get_queue_attributes()
            .queue_url(queue_url)
            .attribute_names(QueueAttributeName::ApproximateNumberOfMessages);
        let response = request.send().await.map_err(|error| chain(&error))?;
        let attributes = response.attributes.unwrap_or_default();
        let count = attributes.get(&QueueAttributeName::ApproximateNumberOfMessages);
        count
            .and_then(|count| count.parse().ok())
            .ok_or_else(|| "SQS returned no number of messages".to_owned())
    }

    /// Returns the entries that SQS rejected. After an error, no entry is known to have been sent.
    async fn send_messages(
        &self,
        queue_url: Option<&String>,
        messages: Vec<QueueMessage>,
    ) -> Result<HashMap<Uuid, String>, String> {
        let queue_url = queue_url.ok_or("no queue is configured for this destination")?;
        let entries = messages
            .into_iter()
            .map(sqs_entry)
            .collect::<Result<Vec<_>, _>>()?;
        let response = self
            .sqs
            .send_message_batch()
            .queue_url(queue_url)
            .set_entries(Some(entries))
            .send()
            .await;
        let response = response.map_err(|error| chain(&error))?;
        let rejected = |failure: aws_sdk_sqs::types::BatchResultErrorEntry| {
            let id = failure
                .id()
                .parse()
                .map_err(|_| "SQS rejected an entry that was not sent".to_owned())?;
            Ok((
                id,
                format!(
                    "{}: {}",
                    failure.code(),
                    failure.message().unwrap_or_default()
                ),
            ))
        };
        response.failed.into_iter().map(rejected).collect()
    }

    /// Like [`Self::send_messages`]. EventBridge returns 200 with one result per entry, in the
    /// order of the entries.
    async fn put_events(
        &self,
        messages: Vec<OutboxMessage>,
    ) -> Result<HashMap<Uuid, String>, String> {
        let bus = self
            .config
            .event_bus_name
            .as_ref()
            .ok_or("no event bus is configured")?;
        let ids: Vec<Uuid> = messages.iter().map(|message| message.id).collect();
        let entries = messages
            .into_iter()
            .map(|message| bus_entry(message, bus))
            .collect();
        let response = self
            .eventbridge
            .put_events()
            .set_entries(Some(entries))
            .send()
            .await;
        let response = response.map_err(|error| chain(&error))?;
        let results = response.entries.unwrap_or_default();
        if results.len() != ids.len() {
            return Err(format!(
                "EventBridge returned {} results for {} entries",
                results.len(),
                ids.len()
            ));
        }
        let rejected = ids.into_iter().zip(results).filter_map(|(id, result)| {
            let code = result.error_code?;
            Some((
                id,
                format!("{code}: {}", result.error_message.unwrap_or_default()),
            ))
        });
        Ok(rejected.collect())
    }
}

/// A message for a queue.
#[derive(Debug)]
struct QueueMessage {
    id: Uuid,
    body: String,
    trace: Option<String>,
}

fn of_queue(messages: Vec<OutboxMessage>) -> Vec<QueueMessage> {
    let of_queue = |message: OutboxMessage| QueueMessage {
        id: message.id,
        body: message.body,
        trace: message.trace,
    };
    messages.into_iter().map(of_queue).collect()
}

fn sqs_entry(message: QueueMessage) -> Result<SendMessageBatchRequestEntry, String> {
    let trace = message.trace.map(|trace| {
        let value = MessageSystemAttributeValue::builder()
            .data_type("String")
            .string_value(trace)
            .build();
        value.map(|value| {
            HashMap::from([(MessageSystemAttributeNameForSends::AwsTraceHeader, value)])
        })
    });
    SendMessageBatchRequestEntry::builder()
        .id(message.id.to_string())
        .message_body(message.body)
        .set_message_system_attributes(trace.transpose().map_err(|error| error.to_string())?)
        .build()
        .map_err(|error| error.to_string())
}

fn bus_entry(message: OutboxMessage, bus: &str) -> PutEventsRequestEntry {
    PutEventsRequestEntry::builder()
        .event_bus_name(bus)
        .source(facts::SOURCE)
        .set_detail_type(message.detail_type)
        .detail(message.body)
        .set_trace_header(message.trace)
        .build()
}

/// Groups messages by destination into requests within the limits.
fn pack_by_destination(mut messages: Vec<OutboxMessage>) -> Vec<Vec<OutboxMessage>> {
    messages.sort_by_key(|message| message.destination);
    pack(
        messages,
        |message| message.body.len(),
        |one, other| one.destination == other.destination,
    )
}

/// Groups successive messages that may share a request into requests within the limits. A single
/// message always fits.
fn pack<M>(
    messages: Vec<M>,
    size: impl Fn(&M) -> usize,
    may_share: impl Fn(&M, &M) -> bool,
) -> Vec<Vec<M>> {
    let mut requests: Vec<Vec<M>> = Vec::new();
    let mut bytes = 0_usize;
    for message in messages {
        let total = bytes.saturating_add(size(&message));
        let open = requests.last_mut().filter(|request| {
            request.len() < MAX_ENTRIES
                && total <= MAX_REQUEST_BYTES
                && request
                    .first()
                    .is_some_and(|first| may_share(first, &message))
        });
        if let Some(request) = open {
            bytes = total;
            request.push(message);
        } else {
            bytes = size(&message);
            requests.push(vec![message]);
        }
    }
    requests
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(destination: Destination, bytes: usize) -> OutboxMessage {
        OutboxMessage {
            id: Uuid::new_v4(),
            destination,
            detail_type: None,
            body: "x".repeat(bytes),
            trace: None,
        }
    }

    #[test]
    fn a_request_has_at_most_ten_entries_of_one_destination() {
        let mut messages = vec![message(Destination::EventBus, 1); 12];
        messages.insert(3, message(Destination::PackageExpiring, 1));
        let sizes: Vec<usize> = pack_by_destination(messages).iter().map(Vec::len).collect();
        assert_eq!(sizes, [1, 10, 2]);
    }

    #[test]
    fn a_request_is_smaller_than_a_mebibyte() {
        let messages = vec![message(Destination::UserUsageBilling, 400 << 10); 5];
        let sizes: Vec<usize> = pack_by_destination(messages).iter().map(Vec::len).collect();
        assert_eq!(sizes, [2, 2, 1]);
    }
}
