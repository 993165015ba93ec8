//! Queue consumers with partial batch responses. A bad message does not affect the others.
//!
//! A message that cannot be parsed fails alone. The others are processed as a batch. If the batch
//! panics or fails with an error that a single message may have caused, each message is processed
//! alone, so that only the bad one fails. A failed message is received again until the queue moves
//! it to its dead-letter queue. No message is acknowledged without being processed.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use chrono::DateTime;
use lambda_runtime::{Context, LambdaEvent};
use tracing::Span;
use tracing::field::Empty;
use uuid::Uuid;

use super::{BoxError, caught, log_error, panicked, serve, time_to_work};
use crate::app::{App, FromApp, StartError};
use crate::deadline;
use crate::error::{Disposition, Error};
use crate::services::queue::rejected_messages::RejectedMessages;
use crate::services::{Batch, Consumer, Outcomes, Received};
use crate::telemetry::{self, Cause, traced};

/// Runs a function that consumes a queue. Records why messages failed.
pub async fn run<C: Consumer + FromApp + Send>() -> Result<(), BoxError> {
    serve(
        async |recorded: &Recorded<C>, event: LambdaEvent<SqsEvent>| {
            let Recorded { consumer, rejected } = recorded;
            handle_recorded(consumer, rejected, event.payload, &event.context).await
        },
    )
    .await
}

/// A consumer whose failed messages are recorded.
struct Recorded<C> {
    consumer: C,
    rejected: RejectedMessages,
}

#[async_trait]
impl<C: FromApp + Send> FromApp for Recorded<C> {
    async fn from_app(app: &App) -> Result<Self, StartError> {
        Ok(Self {
            consumer: C::from_app(app).await?,
            rejected: RejectedMessages::from_app(app).await?,
        })
    }
}

/// Handles one delivery. An error fails the invocation and thereby all its messages.
pub async fn handle<C: Consumer>(
    consumer: &C,
    event: SqsEvent,
    context: &Context,
) -> Result<SqsBatchResponse, Error> {
    traced(delivery_span::<C>(), causes(&event), async {
        let (received, failed) = deliver(consumer, event, context).await?;
        respond(received, failed)
    })
    .await
}

/// Handles one delivery like [`handle`], and records why messages failed.
pub async fn handle_recorded<C: Consumer>(
    consumer: &C,
    rejected: &RejectedMessages,
    event: SqsEvent,
    context: &Context,
) -> Result<SqsBatchResponse, Error> {
    traced(delivery_span::<C>(), causes(&event), async {
        let (received, failed) = deliver(consumer, event, context).await?;
        rejected
            .record(C::QUEUE, &failed, time_to_work(context))
            .await;
        respond(received, failed)
    })
    .await
}

fn delivery_span<C: Consumer>() -> Span {
    let queue = <&str>::from(C::QUEUE);
    tracing::info_span!("delivery", otel.kind = "consumer", queue, trace_id = Empty)
}

/// What caused the messages of a delivery.
fn causes(event: &SqsEvent) -> Vec<Cause> {
    event.records.iter().filter_map(cause).collect()
}

fn cause(message: &SqsMessage) -> Option<Cause> {
    Cause::of_header(message.attributes.get("AWSTraceHeader")?)
}

/// The failed messages of a delivery, by the ids of SQS.
type Failed = Vec<(String, Error)>;

/// Processes a delivery. Returns the number of its messages and those that failed.
async fn deliver<C: Consumer>(
    consumer: &C,
    event: SqsEvent,
    context: &Context,
) -> Result<(usize, Failed), Error> {
    let received = event.records.len();
    // For Lambda, a missing or empty identifier means that all messages failed, so it is an error.
    let records: Vec<Record> = event
        .records
        .into_iter()
        .map(identify)
        .collect::<Result<_, _>>()?;
    let (ids, parsed): (Vec<String>, Vec<Parsed<C>>) = records
        .into_iter()
        .map(|record| parse(consumer, record))
        .unzip();

    let readable: Batch<C::Message> = parsed
        .iter()
        .filter_map(|message| message.as_ref().ok().cloned())
        .collect();
    let mut outcomes = process(consumer, readable, context).await.into_iter();
    let mut failed = Failed::new();
    for (id, message) in ids.into_iter().zip(parsed) {
        let outcome = match message {
            Ok(_) => outcomes.next().unwrap_or_else(no_outcome),
            Err(error) => Err(error),
        };
        if let Err(error) = outcome {
            report_failure(&id, &error);
            failed.push((id, error));
        }
    }
    Ok((received, failed))
}

/// The response for Lambda, which receives the failed messages again.
fn respond(received: usize, failed: Failed) -> Result<SqsBatchResponse, Error> {
    let mut response = SqsBatchResponse::default();
    let mut retryable = None;
    for (id, error) in failed {
        response.add_failure(id);
        if error.disposition() == Disposition::Retry {
            retryable.get_or_insert(error);
        }
    }
    let failed = response.batch_item_failures.len();
    telemetry::count_by_version("MessagesReceived", received);
    telemetry::count_by_version("MessagesFailed", failed);
    tracing::info!(received, failed, "delivery handled");
    match retryable {
        // All messages failed, at least one of them with a retryable error. Lambda must count an
        // error, so that alarms fire, a release is rolled back and the poller slows down. The
        // messages are received again either way.
        Some(error) if failed == received => Err(error),
        _ => Ok(response),
    }
}

/// The result of parsing a body.
type Parsed<C> = Result<Arc<<C as Consumer>::Message>, Error>;

/// The relevant parts of an SQS message.
struct Record {
    id: String,
    received: Received,
    body: String,
}

fn identify(mut message: SqsMessage) -> Result<Record, Error> {
    let cause = cause(&message);
    let id = message.message_id.filter(|id| !id.is_empty());
    let id = id.ok_or_else(|| Error::internal("a message has no id"))?;
    let sent_at = message
        .attributes
        .get("SentTimestamp")
        .and_then(|ms| ms.parse().ok());
    let sent_at = sent_at.and_then(DateTime::from_timestamp_millis);
    let sender_id = message.attributes.remove("SenderId");
    // The message ids of SQS are UUIDs. A UUID is derived from other ids, as emulators use them.
    let message_id = id
        .parse()
        .unwrap_or_else(|_| Uuid::new_v5(&Uuid::NAMESPACE_OID, id.as_bytes()));
    Ok(Record {
        id,
        received: Received {
            message_id,
            sent_at,
            sender_id,
            cause,
        },
        body: message.body.unwrap_or_default(),
    })
}

/// Parses a message. Only its SQS id is kept besides the result.
fn parse<C: Consumer>(consumer: &C, record: Record) -> (String, Parsed<C>) {
    let Record { id, received, body } = record;
    let message = catch_unwind(AssertUnwindSafe(|| consumer.parse(&received, &body)))
        .unwrap_or_else(|panic| Err(panicked(&*panic)));
    (id, message.map(Arc::new))
}

async fn process<C: Consumer>(
    consumer: &C,
    batch: Batch<C::Message>,
    context: &Context,
) -> Outcomes {
    if batch.is_empty() {
        return Vec::new();
    }
    let error = match attempt(consumer, batch.clone(), time_to_work(context)).await {
        Ok(outcomes) => return outcomes,
        Err(error) => error,
    };
    // A panic counts as an internal error, which a single message may have caused.
    if batch.len() == 1 || !error.may_come_from_one_item() {
        return fail_all(batch.len(), error);
    }
    tracing::warn!(
        messages = batch.len(),
        cause = error.cause(),
        "batch failed; processing its messages one by one"
    );
    let mut outcomes = Outcomes::with_capacity(batch.len());
    let messages = batch.len();
    for (index, message) in batch.into_iter().enumerate() {
        // A message that waits for a lock must not use up the time of the following ones.
        let share = time_to_work(context)
            .map(|left| left / u32::try_from(messages - index).unwrap_or(u32::MAX));
        let outcome = attempt(consumer, vec![message], share).await;
        outcomes.push(outcome.and_then(|mut outcome| outcome.pop().unwrap_or_else(no_outcome)));
    }
    outcomes
}

async fn attempt<C: Consumer>(
    consumer: &C,
    batch: Batch<C::Message>,
    time: Option<Duration>,
) -> Result<Outcomes, Error> {
    caught(deadline::within(time, consumer.process(batch))).await
}

fn no_outcome() -> Result<(), Error> {
    Err(Error::internal("a message has no outcome"))
}

/// The same error for each message. Only the first contains the cause.
fn fail_all(messages: usize, error: Error) -> Outcomes {
    let (kind, code, message) = (error.kind(), error.code(), error.message().to_owned());
    let concerns_all = !error.may_come_from_one_item();
    let mut outcomes = vec![Err(error)];
    outcomes.resize_with(messages, || {
        let error = Error::new(kind, code, message.clone());
        Err(if concerns_all {
            error.for_the_whole_batch()
        } else {
            error
        })
    });
    outcomes
}

fn report_failure(message_id: &str, error: &Error) {
    let span = tracing::info_span!("message", message_id, disposition = ?error.disposition());
    let _entered = span.enter();
    if error.disposition() == Disposition::Reject {
        telemetry::count_by_version("MessagesRejected", 1);
        telemetry::count_labelled("MessagesRejected", "ErrorCode", error.code());
    }
    log_error(error);
}
