//! Invokes functions for the messages of their queues and on their schedules, because LocalStack
//! without an account does not.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use aws_lambda_events::sqs::SqsBatchResponse;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{DeleteMessageBatchRequestEntry, Message, MessageSystemAttributeName};
use chrono::Timelike;
use futures::future::join_all;
use serde_json::{Map, Value, json};
use shared::clock::{Clock, System};
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

use super::functions::NativeFunctions;
use super::{Consumer, Deployed, Schedule};
use crate::progress::note;
use crate::template::schedule::Recurrence;

/// How long a consumer waits for messages before it checks whether it has to stop.
const WAIT_SECONDS: i32 = 1;
/// How long an orderly stop waits until the queues are empty.
const DRAIN_LIMIT: Duration = Duration::from_secs(15);
/// SQS's maximum number of messages per request.
const MAX_RECEIVED: usize = 10;

#[derive(Debug)]
pub struct Driver {
    stopping: Arc<AtomicBool>,
    consumers: Vec<JoinHandle<()>>,
    clock: JoinHandle<()>,
}

impl Driver {
    /// Starts the consumers and schedules on `runtime`. Returns an error if a schedule expression
    /// is not supported.
    pub fn start(
        runtime: &Runtime,
        functions: &Arc<NativeFunctions>,
        queues: &Client,
        deployed: &Deployed,
    ) -> Result<Self> {
        let stopping = Arc::new(AtomicBool::new(false));
        let jobs = deployed.schedules.iter().map(job).collect::<Result<_>>()?;
        let clock = runtime.spawn(run_jobs(Arc::clone(functions), jobs));
        let consume = |consumer: &Consumer| {
            let consumer = consumer.clone();
            runtime.spawn(consume(
                Arc::clone(functions),
                queues.clone(),
                consumer,
                Arc::clone(&stopping),
            ))
        };
        Ok(Self {
            consumers: deployed.consumers.iter().map(consume).collect(),
            stopping,
            clock,
        })
    }

    /// Stops the schedules, then the consumers when their queues are empty, or after 15 seconds.
    pub async fn stop(self) {
        self.clock.abort();
        self.stopping.store(true, Ordering::Relaxed);
        if tokio::time::timeout(DRAIN_LIMIT, join_all(self.consumers))
            .await
            .is_err()
        {
            note("The queues still held messages, which are lost.");
        }
    }
}

async fn consume(
    functions: Arc<NativeFunctions>,
    queues: Client,
    consumer: Consumer,
    stopping: Arc<AtomicBool>,
) {
    loop {
        let was_stopping = stopping.load(Ordering::Relaxed);
        match deliver(&functions, &queues, &consumer).await {
            Ok(0) if was_stopping => return,
            Ok(_) => {}
            Err(error) => {
                note(&format!(
                    "A delivery to {} failed and will be repeated: {error:#}",
                    consumer.function
                ));
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
    }
}

/// Receives messages, invokes the function, and deletes the messages that did not fail. The others
/// become visible again after the queue's visibility timeout, and finally go to its dead-letter
/// queue. Returns the number of messages received.
async fn deliver(
    functions: &NativeFunctions,
    queues: &Client,
    consumer: &Consumer,
) -> Result<usize> {
    let received = queues
        .receive_message()
        .queue_url(&consumer.queue_url)
        .max_number_of_messages(i32::try_from(consumer.batch_size.min(MAX_RECEIVED))?)
        .wait_time_seconds(WAIT_SECONDS)
        .message_system_attribute_names(MessageSystemAttributeName::All)
        .send();
    let messages = received.await?.messages.unwrap_or_default();
    if messages.is_empty() {
        return Ok(0);
    }
    let records: Vec<_> = messages.iter().map(record).collect();
    let answer = functions
        .invoke(&consumer.function, &json!({ "Records": records }))
        .await?;
    let failed: SqsBatchResponse =
        serde_json::from_value(answer).context("The response is not a batch response")?;
    let failed: Vec<_> = failed
        .batch_item_failures
        .into_iter()
        .map(|failure| failure.item_identifier)
        .collect();
    let succeeded = messages.iter().filter(|message| {
        message
            .message_id
            .as_ref()
            .is_none_or(|id| !failed.contains(id))
    });
    let entries = succeeded.enumerate().map(|(number, message)| {
        let handle = message.receipt_handle.clone().unwrap_or_default();
        DeleteMessageBatchRequestEntry::builder()
            .id(number.to_string())
            .receipt_handle(handle)
            .build()
    });
    let entries = entries.collect::<Result<Vec<_>, _>>()?;
    if !entries.is_empty() {
        queues
            .delete_message_batch()
            .queue_url(&consumer.queue_url)
            .set_entries(Some(entries))
            .send()
            .await?;
    }
    Ok(messages.len())
}

/// A message as Lambda delivers it.
fn record(message: &Message) -> Value {
    let attributes: Map<String, Value> = message
        .attributes
        .iter()
        .flatten()
        .map(|(name, value)| (name.as_str().to_owned(), json!(value)))
        .collect();
    json!({
        "messageId": message.message_id,
        "receiptHandle": message.receipt_handle,
        "body": message.body,
        "attributes": attributes,
        "messageAttributes": {},
        "md5OfBody": message.md5_of_body,
        "eventSource": "aws:sqs",
        "eventSourceARN": "arn:aws:sqs:us-east-1:000000000000:local",
        "awsRegion": "us-east-1",
    })
}

/// The function of a schedule, and when it runs.
fn job(schedule: &Schedule) -> Result<(String, Recurrence)> {
    let recurrence = Recurrence::parse(&schedule.expression)
        .with_context(|| format!("Cannot run {} on its schedule", schedule.function))?;
    Ok((schedule.function.clone(), recurrence))
}

/// At each full minute, starts the jobs that are due, concurrently. If a job is still running, its
/// next run waits.
async fn run_jobs(functions: Arc<NativeFunctions>, jobs: Vec<(String, Recurrence)>) {
    loop {
        let second = System.now().second();
        tokio::time::sleep(Duration::from_secs(60_u32.saturating_sub(second).into())).await;
        let minute = System.now().timestamp().div_euclid(60);
        let due = jobs
            .iter()
            .filter(|(_, recurrence)| recurrence.includes(minute));
        for (function, _) in due {
            let (functions, function) = (Arc::clone(&functions), function.clone());
            tokio::spawn(async move {
                if let Err(error) = run_job(&functions, &function).await {
                    note(&format!("{error:#}"));
                }
            });
        }
    }
}

async fn run_job(functions: &NativeFunctions, function: &str) -> Result<()> {
    let answer = functions
        .invoke(
            function,
            &json!({"source": "aws.scheduler", "detail": "{}"}),
        )
        .await?;
    if answer.get("errorType").is_some() {
        bail!("The function {function} failed: {answer}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use aws_sdk_sqs::types::builders::MessageBuilder;

    use super::*;

    #[test]
    fn an_unknown_schedule_is_an_error_that_names_its_function() {
        let of = |expression: &str| Schedule {
            function: "maintain-storage".to_owned(),
            expression: expression.to_owned(),
        };
        assert!(job(&of("rate(1 day)")).is_ok());
        let error = format!("{:#}", job(&of("cron(5 4 * * ? *)")).unwrap_err());
        let expected = "Cannot run maintain-storage on its schedule: unknown schedule expression \
            \"cron(5 4 * * ? *)\"; expected one of: rate(1 minute), ";
        assert!(error.starts_with(expected), "{error}");
    }

    #[test]
    fn records_can_be_read_as_an_sqs_event() {
        let message = MessageBuilder::default()
            .message_id("m")
            .body("{}")
            .receipt_handle("r")
            .attributes(MessageSystemAttributeName::SentTimestamp, "1773138600000")
            .build();
        let event = json!({ "Records": [record(&message)] });
        let read: aws_lambda_events::sqs::SqsEvent = serde_json::from_value(event).unwrap();
        assert_eq!(read.records[0].message_id.as_deref(), Some("m"));
        assert_eq!(read.records[0].attributes["SentTimestamp"], "1773138600000");
    }
}
