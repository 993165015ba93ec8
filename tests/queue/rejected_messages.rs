//! Why messages failed is recorded, once per message, and no record decides a delivery.

use async_trait::async_trait;
use chrono::TimeDelta;
use lambda_runtime::Context as Invocation;
use serde_json::{Value, json};
use shared::domain::dead_letter::Queue;
use shared::error::Error;
use shared::lambda::sqs;
use shared::services::queue::ingest_usage_report::{HashedReport, IngestUsageReports};
use shared::services::queue::rejected_messages::RejectedMessages;
use shared::services::{Batch, Consumer, Outcomes, Processor, Received};
use sqlx::PgPool;
use telecom_tests::api::Api;
use telecom_tests::report::{report, report_of, texts, with};
use telecom_tests::{NOW, World, at, event_of, failures, message_id, unreachable_pool, user};

fn recorder(world: &World) -> RejectedMessages {
    RejectedMessages::new(world.writer.clone(), world.context())
}

/// Delivers bodies as the deployed function does. Returns the ids of the failed messages.
async fn deliver<C: Consumer>(
    consumer: &C,
    rejected: &RejectedMessages,
    bodies: &[String],
) -> Vec<String> {
    let event = serde_json::from_value(event_of(bodies)).unwrap();
    let response = sqs::handle_recorded(consumer, rejected, event, &Invocation::default()).await;
    failures(&serde_json::to_value(response.unwrap()).unwrap())
}

/// The recorded messages by id: code, attempts, first and last failure.
async fn recorded(world: &World) -> Vec<(String, String, i64)> {
    sqlx::query_as(
        "select message_id, error_code, attempts from telecom.rejected_message
         where queue = 'usage-report' order by message_id",
    )
    .fetch_all(&world.pool)
    .await
    .unwrap()
}

/// A consumer of reports that panics on each of them.
struct Buggy(IngestUsageReports);

#[async_trait]
impl Processor<Batch<HashedReport>> for Buggy {
    type Output = Outcomes;

    async fn process(&self, _: Batch<HashedReport>) -> Result<Outcomes, Error> {
        panic!("a bug")
    }
}

impl Consumer for Buggy {
    type Message = HashedReport;
    const QUEUE: Queue = IngestUsageReports::QUEUE;

    fn parse(&self, received: &Received, body: &str) -> Result<HashedReport, Error> {
        self.0.parse(received, body)
    }
}

/// A report that is accepted, and reports that are refused for different reasons.
fn bodies() -> Vec<String> {
    let good = |id| report(id, &[(user(1), 1, 0)]);
    let mut malformed = good(2).to_string();
    malformed.truncate(20);
    let mut bodies = texts(&[
        good(1),
        with(good(3), "/usage/0/upload", json!("canary")),
        report_of(4, 404, at(NOW), &[(user(1), 1, 0)]),
        report_of(5, 1, at(NOW) + TimeDelta::days(1), &[(user(1), 1, 0)]),
        // The same id with another payload.
        report(1, &[(user(1), 2, 0)]),
    ]);
    bodies.push(malformed);
    bodies
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn each_rejection_is_recorded_with_its_code_and_without_the_body(pool: PgPool) {
    let world = World::new(pool).await;
    let failed = deliver(&world.ingest(), &recorder(&world), &bodies()).await;
    assert_eq!(failed, [1, 2, 3, 4, 5].map(message_id));
    let expected = [
        (1, "invalid_field"),
        (2, "unknown_server"),
        (3, "period_in_future"),
        (4, "report_id_reused"),
        (5, "malformed_json"),
    ];
    let expected = expected.map(|(index, code)| (message_id(index), code.to_owned(), 1));
    assert_eq!(recorded(&world).await, expected);
    let secrets = "select count(*) from telecom.rejected_message
        where reason like '%canary%' or reason = '' or reason like error_code || '%'";
    assert_eq!(world.number(secrets).await, 0);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_message_that_is_delivered_again_is_recorded_once(pool: PgPool) {
    let world = World::new(pool).await;
    let (ingest, rejected) = (world.ingest(), recorder(&world));
    for minutes in 0..5 {
        world.clock.set(at(NOW) + TimeDelta::minutes(minutes));
        deliver(&ingest, &rejected, &bodies()).await;
    }
    let attempts: Vec<i64> = recorded(&world).await.iter().map(|row| row.2).collect();
    assert_eq!(attempts, [5; 5]);
    let kept = "select count(*) from telecom.rejected_message
        where first_failed_at = '2026-03-10T10:30:00Z' and last_failed_at = '2026-03-10T10:34:00Z'";
    assert_eq!(world.number(kept).await, 5);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_message_that_a_bug_fails_is_recorded_with_its_cause(pool: PgPool) {
    let world = World::new(pool).await;
    let buggy = Buggy(world.ingest());
    let event = event_of(&texts(&[report(1, &[]), report(2, &[])]));
    let event = serde_json::from_value(event).unwrap();
    let invocation = Invocation::default();
    let result = sqs::handle_recorded(&buggy, &recorder(&world), event, &invocation).await;
    assert_eq!(result.unwrap_err().code(), "internal");
    let expected = [0, 1].map(|index| (message_id(index), "internal".to_owned(), 1));
    assert_eq!(recorded(&world).await, expected);
    let causes = "select count(*) from telecom.rejected_message where reason like '%panic: a bug'";
    assert_eq!(world.number(causes).await, 2);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn messages_that_an_outage_fails_are_not_recorded(pool: PgPool) {
    let world = World::new(pool).await;
    let offline = IngestUsageReports::new(unreachable_pool(), world.context());
    let event = event_of(&texts(&[report(1, &[]), report(2, &[])]));
    let event = serde_json::from_value(event).unwrap();
    let invocation = Invocation::default();
    let result = sqs::handle_recorded(&offline, &recorder(&world), event, &invocation).await;
    assert_eq!(result.unwrap_err().code(), "unavailable");
    assert_eq!(recorded(&world).await, []);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_delivery_is_the_same_if_its_failures_cannot_be_recorded(pool: PgPool) {
    let world = World::new(pool).await;
    world
        .sql("revoke insert on telecom.rejected_message from telecom_writer")
        .await;
    let unreachable = RejectedMessages::new(unreachable_pool(), world.context());
    for rejected in [recorder(&world), unreachable] {
        let failed = deliver(&world.ingest(), &rejected, &bodies()).await;
        assert_eq!(failed, [1, 2, 3, 4, 5].map(message_id));
    }
    assert_eq!(recorded(&world).await, []);
    assert_eq!(
        world
            .number("select count(*) from telecom.usage_report")
            .await,
        1
    );
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn administrators_see_the_newest_reasons_of_each_queue(pool: PgPool) {
    let world = World::new(pool).await;
    deliver(&world.ingest(), &recorder(&world), &bodies()).await;
    world.clock.set(at(NOW) + TimeDelta::minutes(1));
    // Two messages of the same code, whose ids the first delivery used for other messages.
    let unknown = |id| report_of(id, 405, at(NOW), &[(user(1), 1, 0)]);
    deliver(
        &world.ingest(),
        &recorder(&world),
        &texts(&[unknown(7), unknown(8)]),
    )
    .await;
    world
        .sql(
            "insert into telecom.dead_letter_queue values
             ('usage-report', 2, '2026-03-10T10:30:30Z'), ('schedule', 0, '2026-03-10T10:30:30Z')",
        )
        .await;
    let api = Api::over_http(world);
    let (status, body) = api
        .get("/v1/admin/dead-letters", "", Some(&api.issuer.admin()))
        .await;
    assert_eq!(status, 200, "{body}");
    let queues = body["queues"].as_array().unwrap();
    let numbers: Vec<(&Value, &Value)> = queues
        .iter()
        .map(|queue| (&queue["queue"], &queue["dead_letters"]))
        .collect();
    let expected = json!([
        ["usage-report", 2],
        ["node-usage", null],
        ["user-usage-billing", null],
        ["package-expiring", null],
        ["package-order", null],
        ["webhook-event", null],
        ["schedule", 0],
    ]);
    assert_eq!(json!(numbers), expected);
    let newest = &queues[0]["reasons"][0];
    assert_eq!(
        (
            &newest["error_code"],
            &newest["messages"],
            &newest["last_message_id"]
        ),
        (&json!("unknown_server"), &json!(3), &json!(message_id(1))),
        "{newest}"
    );
    assert_eq!(newest["first_failed_at"], "2026-03-10T10:30:00Z");
    assert_eq!(newest["last_failed_at"], "2026-03-10T10:31:00Z");
    assert_eq!(newest["reason"], "server_id: unknown node server");
}
