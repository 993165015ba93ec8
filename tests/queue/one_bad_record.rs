//! A bad record does not affect the other records of its batch.

use async_trait::async_trait;
use serde_json::{Value, json};
use shared::domain::dead_letter::Queue;
use shared::error::Error;
use shared::services::queue::ingest_usage_report::{HashedReport, IngestUsageReports};
use shared::services::{Batch, Consumer, Outcomes, Processor, Received};
use sqlx::PgPool;
use telecom_tests::report::{report, report_of, texts, with};
use telecom_tests::{NOW, World, at, deliver, deliver_event, message_id, user};

const RAW_BYTES: &str = "select coalesce(sum(upload_bytes), 0)::bigint from telecom.traffic_usage";

/// A consumer that panics on a report of the server [`POISON`], in `parse` or in `process`.
struct Buggy {
    inner: IngestUsageReports,
    panics_in_parse: bool,
}

const POISON: i32 = 666;

#[async_trait]
impl Processor<Batch<HashedReport>> for Buggy {
    type Output = Outcomes;

    async fn process(&self, batch: Batch<HashedReport>) -> Result<Outcomes, Error> {
        assert!(
            !batch.iter().any(|hashed| hashed.report.server_id == POISON),
            "poison in the batch"
        );
        self.inner.process(batch).await
    }
}

impl Consumer for Buggy {
    type Message = HashedReport;
    const QUEUE: Queue = Queue::UsageReport;

    fn parse(&self, received: &Received, body: &str) -> Result<HashedReport, Error> {
        let report = self.inner.parse(received, body)?;
        assert!(
            !(self.panics_in_parse && report.report.server_id == POISON),
            "poison in the body"
        );
        Ok(report)
    }
}

/// Ten bodies: six good ones of one byte each, and four bad ones at positions 1, 3, 5 and 8.
fn ten() -> Vec<String> {
    let good = |id| report(id, &[(user(1), 1, 0)]);
    let overflow = with(
        good(105),
        "/usage/0/upload",
        json!(9_223_372_036_854_775_808_u64),
    );
    let mut bodies = texts(&[
        good(100),
        good(101),
        good(102),
        report_of(103, 404, at(NOW), &[(user(1), 1, 0)]),
        good(104),
        overflow,
        good(106),
        good(107),
        report_of(108, POISON, at(NOW), &[(user(1), 1, 0)]),
        good(109),
    ]);
    bodies[1].truncate(20);
    bodies
}

async fn assert_six_good_records_take_effect(pool: PgPool, panics_in_parse: bool) {
    let world = World::new(pool).await;
    world.server(POISON, &[]).await;
    let consumer = Buggy {
        inner: world.ingest(),
        panics_in_parse,
    };
    let expected: Vec<Value> = [1, 3, 5, 8]
        .map(|index| json!({ "itemIdentifier": message_id(index) }))
        .to_vec();
    assert_eq!(
        deliver(&consumer, &ten()).await,
        json!({ "batchItemFailures": expected })
    );
    assert_eq!(world.number(RAW_BYTES).await, 6);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn six_of_ten_records_take_effect_if_parsing_another_panics(pool: PgPool) {
    assert_six_good_records_take_effect(pool, true).await;
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn six_of_ten_records_take_effect_if_processing_another_panics(pool: PgPool) {
    assert_six_good_records_take_effect(pool, false).await;
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn successful_batch_returns_an_empty_list_of_failures(pool: PgPool) {
    let world = World::new(pool).await;
    let response = deliver(&world.ingest(), &texts(&[report(1, &[])])).await;
    assert_eq!(response.to_string(), r#"{"batchItemFailures":[]}"#);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn message_without_an_id_fails_the_invocation(pool: PgPool) {
    let world = World::new(pool).await;
    let event = serde_json::from_value(json!({ "Records": [{ "body": "{}" }] })).unwrap();
    assert!(
        shared::lambda::sqs::handle(&world.ingest(), event, &lambda_runtime::Context::default())
            .await
            .is_err()
    );
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn real_sqs_event_is_accepted(pool: PgPool) {
    let world = World::new(pool).await;
    let event = json!({ "Records": [{
        "messageId": "059f36b4-87a3-44ab-83d2-661975830a7d",
        "receiptHandle": "AQEBwJnKyrHigUMZj6rYigCgxlaS3SLy0a",
        "body": report(1, &[(user(1), 5, 0)]).to_string(),
        "attributes": {
            "ApproximateReceiveCount": "1", "SentTimestamp": "1545082649183",
            "SenderId": "AIDAIENQZJOLO23YVJ4VO", "ApproximateFirstReceiveTimestamp": "1545082649185"
        },
        "messageAttributes": {},
        "md5OfBody": "e4e68fb7bd0e697a0ae8f1bb342846b3",
        "eventSource": "aws:sqs",
        "eventSourceARN": "arn:aws:sqs:us-east-1:123456789012:usage-report",
        "awsRegion": "us-east-1"
    }] });
    assert_eq!(
        deliver_event(&world.ingest(), event).await,
        json!({ "batchItemFailures": [] })
    );
    assert_eq!(world.number(RAW_BYTES).await, 5);
}
