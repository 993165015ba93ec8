//! Deliveries to a consumer, as Lambda makes them.

use aws_lambda_events::sqs::SqsEvent;
use lambda_runtime::Context as Invocation;
use serde_json::{Value, json};
use shared::lambda::sqs;
use shared::services::Consumer;
use uuid::Uuid;

/// Id of the message at a position in a delivery.
#[must_use]
pub fn message_id(index: usize) -> String {
    Uuid::from_u64_pair(0, index.try_into().unwrap()).to_string()
}

/// Delivers bodies as Lambda does and returns the function's response as JSON.
pub async fn deliver<C: Consumer>(consumer: &C, bodies: &[String]) -> Value {
    deliver_event(consumer, event_of(bodies)).await
}

/// The event with which Lambda delivers bodies.
#[must_use]
pub fn event_of(bodies: &[String]) -> Value {
    let records: Vec<Value> = bodies
        .iter()
        .enumerate()
        .map(|(index, body)| {
            json!({ "messageId": message_id(index), "receiptHandle": "r",
            "body": body })
        })
        .collect();
    json!({ "Records": records })
}

/// Delivers an event and returns the function's response as JSON.
pub async fn deliver_event<C: Consumer>(consumer: &C, event: Value) -> Value {
    let event: SqsEvent = serde_json::from_value(event).unwrap();
    serde_json::to_value(
        sqs::handle(consumer, event, &Invocation::default())
            .await
            .unwrap(),
    )
    .unwrap()
}

/// Ids of the failed messages in a partial batch response.
#[must_use]
pub fn failures(response: &Value) -> Vec<String> {
    let failures = response["batchItemFailures"].as_array().unwrap();
    failures
        .iter()
        .map(|failure| failure["itemIdentifier"].as_str().unwrap().to_owned())
        .collect()
}

/// Delivers bodies and asserts that no message fails.
pub async fn assert_all_accepted<C: Consumer>(consumer: &C, bodies: &[String]) {
    let response = deliver(consumer, bodies).await;
    assert_eq!(failures(&response), Vec::<String>::new());
}
