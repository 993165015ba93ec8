//! Sends outbox messages to SQS and EventBridge, packed within the services' limits.

use std::collections::HashMap;

use aws_config::SdkConfig;
use aws_sdk_eventbridge::types::PutEventsRequestEntry;
use aws_sdk_sqs::types::{
    MessageSystemAttributeNameForSends, MessageSystemAttributeValue, SendMessageBatchRequestEntry,
};
use futures::stream::{self, StreamExt};
use uuid::Uuid;

use super::facts;
use super::outbox::{Destination, OutboxMessage};
use crate::config::MessagingConfig;

/// Entries in one request, to SQS and to EventBridge alike.
const MAX_ENTRIES: usize = 10;
/// Bytes in one request: both allow 1 MiB with everything around the bodies; this leaves room for
/// it.
const MAX_REQUEST_BYTES: usize = 960 << 10;
/// Requests under way at once.
const PARALLEL_REQUESTS: usize = 4;

/// What became of messages.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Published {
    /// Left.
    pub sent: Vec<Uuid>,
    /// Did not, and why.
    pub failed: Vec<(Uuid, String)>,
}

/// Sends to the queues and the bus.
#[derive(Debug, Clone)]
pub struct Publisher {
    sqs: aws_sdk_sqs::Client,
    eventbridge: aws_sdk_eventbridge::Client,
    config: MessagingConfig,
}

impl Publisher {
    /// To the destinations of `config`; a message for one that is not there fails.
    #[must_use]
    pub fn new(aws: &SdkConfig, config: MessagingConfig) -> Self {
        Self {
            sqs: aws_sdk_sqs::Client::new(aws),
            eventbridge: aws_sdk_eventbridge::Client::new(aws),
            config,
        }
    }

    /// Sends messages; never fails as a whole: each one left or did not.
    pub async fn publish(&self, messages: Vec<OutboxMessage>) -> Published {
        let mut requests = stream::iter(pack(messages))
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
                self.send_messages(self.config.user_usage_billing_queue_url.as_ref(), request)
                    .await
            }
            Some(Destination::PackageExpiring) => {
                self.send_messages(self.config.package_expiring_queue_url.as_ref(), request)
                    .await
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

    /// Answers the entries that SQS refused; an error means that nothing is known to have been
    /// sent.
    async fn send_messages(
        &self,
        queue_url: Option<&String>,
        messages: Vec<OutboxMessage>,
    ) -> Result<HashMap<Uuid, String>, String> {
        let queue_url = queue_url.ok_or("no queue is configured for this destination")?;
        let entries = messages
            .into_iter()
            .map(sqs_entry)
            .collect::<Result<Vec<_>, _>>()?;
        let answer = self
            .sqs
            .send_message_batch()
            .queue_url(queue_url)
            .set_entries(Some(entries))
            .send()
            .await;
        let answer = answer.map_err(|error| describe(&error))?;
        let refused = |failure: aws_sdk_sqs::types::BatchResultErrorEntry| {
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
        answer.failed.into_iter().map(refused).collect()
    }

    /// As [`Self::send_messages`]; EventBridge answers 200 and says per entry what failed, in the
    /// entries' order.
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
        let answer = self
            .eventbridge
            .put_events()
            .set_entries(Some(entries))
            .send()
            .await;
        let answer = answer.map_err(|error| describe(&error))?;
        let results = answer.entries.unwrap_or_default();
        if results.len() != ids.len() {
            return Err(format!(
                "EventBridge returned {} results for {} entries",
                results.len(),
                ids.len()
            ));
        }
        let refused = ids.into_iter().zip(results).filter_map(|(id, result)| {
            let code = result.error_code?;
            Some((
                id,
                format!("{code}: {}", result.error_message.unwrap_or_default()),
            ))
        });
        Ok(refused.collect())
    }
}

fn sqs_entry(message: OutboxMessage) -> Result<SendMessageBatchRequestEntry, String> {
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

/// The SDK's errors say what happened only in their sources.
fn describe(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        text = format!("{text}: {source}");
        next = source.source();
    }
    text
}

/// Groups messages by destination into requests within the limits; a single message is never too
/// large for one.
fn pack(mut messages: Vec<OutboxMessage>) -> Vec<Vec<OutboxMessage>> {
    messages.sort_by_key(|message| message.destination);
    let mut requests: Vec<Vec<OutboxMessage>> = Vec::new();
    let mut bytes = 0_usize;
    for message in messages {
        let fits = requests.last().is_some_and(|request| {
            request.len() < MAX_ENTRIES
                && bytes.saturating_add(message.body.len()) <= MAX_REQUEST_BYTES
                && request
                    .first()
                    .is_some_and(|first| first.destination == message.destination)
        });
        bytes = if fits {
            bytes.saturating_add(message.body.len())
        } else {
            message.body.len()
        };
        match requests.last_mut().filter(|_| fits) {
            Some(request) => request.push(message),
            None => requests.push(vec![message]),
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
    fn a_request_holds_ten_entries_of_one_destination() {
        let mut messages = vec![message(Destination::EventBus, 1); 12];
        messages.insert(3, message(Destination::PackageExpiring, 1));
        let sizes: Vec<usize> = pack(messages).iter().map(Vec::len).collect();
        assert_eq!(sizes, [1, 10, 2]);
    }

    #[test]
    fn a_request_stays_under_a_mebibyte() {
        let messages = vec![message(Destination::UserUsageBilling, 400 << 10); 5];
        let sizes: Vec<usize> = pack(messages).iter().map(Vec::len).collect();
        assert_eq!(sizes, [2, 2, 1]);
    }
}
