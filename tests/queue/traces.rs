//! One trace leads from the arrival of a report to the item that it is charged to.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use shared::telemetry;
use shared::telemetry::otlp::Export;
use sqlx::PgPool;
use telecom_tests::log::Log;
use telecom_tests::node::{Nodes, V1, post};
use telecom_tests::receiver::{Answer, Receiver};
use telecom_tests::report::report;
use telecom_tests::spans::Spans;
use telecom_tests::{World, deliver_event, failures, message_id, user};
use tracing_subscriber::layer::SubscriberExt;

/// A trace that a client wants to be followed.
const SAMPLED: &str = "Root=1-6123abcd-0123456789abcdef01234567;Parent=00f067aa0ba902b7;Sampled=1";
const SAMPLED_ID: &str = "6123abcd0123456789abcdef01234567";
/// Another one, which is not recorded.
const OTHER: &str = "Root=1-6123abcd-ffffffffffffffffffffffff;Parent=00f067aa0ba902b7;Sampled=0";
const OTHER_ID: &str = "6123abcdffffffffffffffffffffffff";

/// A delivery of bodies, each with the trace header of its message.
fn delivery(messages: &[(String, Option<String>)]) -> Value {
    let record = |(index, (body, trace)): (usize, &(String, Option<String>))| {
        json!({ "messageId": message_id(index), "receiptHandle": "r", "body": body,
            "attributes": trace.iter().map(|trace| ("AWSTraceHeader", trace))
                .collect::<HashMap<_, _>>() })
    };
    let records: Vec<Value> = messages.iter().enumerate().map(record).collect();
    json!({ "Records": records })
}

/// Takes the messages for a queue from the outbox, with their trace headers.
async fn take_messages(world: &World, destination: &str) -> Vec<(String, Option<String>)> {
    let take = "with taken as (
            delete from telecom.outbox where destination = $1::telecom.outbox_destination
            returning id, created_at, body, trace
        )
        select body, trace from taken order by created_at, id";
    sqlx::query_as(take)
        .bind(destination)
        .fetch_all(&world.pool)
        .await
        .unwrap()
}

/// Records two reports of different traces, and bills, applies and expires until the package of
/// user 1 is consumed. Calls `after` after each step.
async fn drive(world: &World, after: impl AsyncFn(&'static str)) {
    world
        .active_item(user(1), world.package(100, 30).await)
        .await;
    let reports = [(1, OTHER), (2, SAMPLED)].map(|(id, trace)| {
        let report = report(id, &[(user(1), 60, 70)]).to_string();
        (report, Some(trace.to_owned()))
    });
    let response = deliver_event(&world.ingest(), delivery(&reports)).await;
    assert_eq!(failures(&response).len(), 0);
    after("ingest").await;
    world.bill().await;
    after("bill").await;
    let messages = take_messages(world, "user_usage_billing").await;
    deliver_event(&world.hook(), delivery(&messages)).await;
    after("apply").await;
    let messages = take_messages(world, "package_expiring").await;
    assert_eq!(messages.len(), 1);
    deliver_event(&world.expiring(), delivery(&messages)).await;
    after("expire").await;
    assert_eq!(world.item_statuses(user(1)).await, ["consumed"]);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn the_logs_of_each_function_name_the_trace_of_a_report(pool: PgPool) {
    let world = World::new(pool).await;
    let log = Log::begin();
    drive(&world, async |step| {
        let text = log.take_text();
        let in_trace = format!(r#""trace_id":"{SAMPLED_ID}""#);
        assert!(text.contains(&in_trace), "{step}: {text}");
        let is_linked = text.contains(&format!(r#""linked_traces":"{OTHER_ID}""#));
        assert_eq!(
            is_linked,
            ["ingest", "bill"].contains(&step),
            "{step}: {text}"
        );
    })
    .await;
    let traces = "select string_agg(distinct trace, ' ') from telecom.outbox";
    let traces: String = sqlx::query_scalar(traces)
        .fetch_one(&world.pool)
        .await
        .unwrap();
    assert_eq!(traces, SAMPLED, "facts");
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn each_report_keeps_its_own_trace(pool: PgPool) {
    let world = World::new(pool).await;
    drive(&world, async |_| {}).await;
    let traces = "select trace from telecom.usage_report order by report_id";
    let traces: Vec<String> = sqlx::query_scalar(traces)
        .fetch_all(&world.pool)
        .await
        .unwrap();
    assert_eq!(traces, [OTHER, SAMPLED]);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_push_keeps_the_trace_of_its_request(pool: PgPool) {
    let (nodes, query) = Nodes::uniproxy(pool).await;
    let traceparent = format!("00-{SAMPLED_ID}-00f067aa0ba902b7-01");
    let push = post(&format!("{V1}/push"), &query, r#"{"1":[10,20]}"#);
    let log = Log::begin();
    nodes.send(&push.with("traceparent", traceparent)).await;
    let line = &log.take("node request completed")[0];
    assert_eq!(line["trace_id"], SAMPLED_ID);
    assert_eq!(nodes.trace_headers(), [SAMPLED]);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn spans_are_exported_as_one_trace(pool: PgPool) {
    let world = World::new(pool).await;
    let spans = Spans::begin().await;
    drive(&world, async |_| {}).await;
    let spans = spans.take().await;
    let named = |name: &str| -> Vec<_> { spans.iter().filter(|span| span.name == name).collect() };
    let ids = |hex: &str| -> Vec<u8> {
        let byte = |at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
        (0..hex.len()).step_by(2).map(byte).collect()
    };
    let (deliveries, billed) = (named("delivery"), named("bill_reports"));
    assert_eq!((deliveries.len(), billed.len()), (3, 1));
    for span in deliveries.iter().chain(&billed) {
        assert_eq!(span.trace_id, ids(SAMPLED_ID), "{span:?}");
    }
    // The message of a step names the span that wrote it.
    let [ingested, applied, expired] = deliveries[..] else {
        panic!("{deliveries:?}")
    };
    assert_eq!(ingested.parent_span_id, ids("00f067aa0ba902b7"));
    for span in [ingested, billed[0]] {
        let linked: Vec<_> = span.links.iter().map(|link| &link.trace_id).collect();
        assert_eq!(linked, [&ids(OTHER_ID)], "{span:?}");
    }
    let is_within = |inner: &[u8], outer: &[u8]| {
        let mut id = inner.to_vec();
        while id != outer {
            let Some(span) = spans.iter().find(|span| span.span_id == id) else {
                return false;
            };
            id.clone_from(&span.parent_span_id);
        }
        true
    };
    assert!(is_within(&applied.parent_span_id, &billed[0].span_id));
    assert!(is_within(&expired.parent_span_id, &applied.span_id));
    let transactions = named("write_tx");
    assert!(transactions.len() >= 4, "{spans:?}");
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_trace_that_is_not_sampled_is_not_exported(pool: PgPool) {
    let world = World::new(pool).await;
    let spans = Spans::begin().await;
    let reports = [(
        report(1, &[(user(1), 1, 1)]).to_string(),
        Some(OTHER.into()),
    )];
    deliver_event(&world.ingest(), delivery(&reports)).await;
    assert_eq!(spans.take().await, []);
}

/// Functions export before they respond.
#[tokio::test]
async fn a_collector_that_does_not_answer_delays_one_response() {
    let silent = Receiver::start(|_| Answer::Hang).await;
    let url = format!("http://127.0.0.1:{}/v1/traces", silent.port());
    let (tracer, export) = Export::new(Some(&url)).unwrap();
    let subscriber = tracing_subscriber::registry().with(telemetry::spans(tracer));
    let _guard = tracing::subscriber::set_default(subscriber);
    let mut took = Vec::new();
    for _ in 0..3 {
        drop(tracing::info_span!(target: "shared", "delivery").entered());
        let began = Instant::now();
        export.run().await;
        took.push(began.elapsed());
    }
    assert_eq!(silent.received().len(), 1);
    let second = Duration::from_secs(1);
    assert!(took[0] >= second && took[0] < 3 * second, "{took:?}");
    assert!(took[1] + took[2] < second, "{took:?}");
}
