//! Messages that a crash left in the outbox are sent later, by one sender at a time.

use chrono::TimeDelta;
use serde_json::{Value, json};
use shared::db::outbox;
use shared::domain::dead_letter::Queue;
use shared::services::Processor;
use shared::services::cron::Run;
use shared::services::cron::refresh_server_status::RefreshServerStatus;
use shared::services::cron::sweep_outbox::SweepOutboxJob;
use sqlx::PgPool;
use strum::VariantArray;
use telecom_tests::bus::Bus;
use telecom_tests::report::{report, texts};
use telecom_tests::web::Web;
use telecom_tests::{NOW, World, at, publisher_to, publisher_with_dead_letter_queues, user};
use tokio::net::TcpListener;

use super::bill_traffic::assert_all_accepted;

async fn lease(world: &World) -> usize {
    let now = world.context().now();
    let mut connection = world.pool.acquire().await.unwrap();
    outbox::lease(&mut connection, now, now + TimeDelta::seconds(60), 100)
        .await
        .unwrap()
        .len()
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn message_is_leased_to_its_writer_for_a_minute_then_to_the_sweep(pool: PgPool) {
    let world = World::new(pool).await;
    assert_all_accepted(&world, &texts(&[report(1, &[(user(1), 10, 0)])])).await;
    world.bill().await;
    assert_eq!(lease(&world).await, 0);
    world.clock.set(at(NOW) + TimeDelta::seconds(60));
    let (a, b) = tokio::join!(lease(&world), lease(&world));
    assert_eq!(a + b, 1);
    world.clock.set(at(NOW) + TimeDelta::seconds(120));
    assert_eq!(lease(&world).await, 1);
    assert_eq!(
        world
            .number("select attempts::bigint from telecom.outbox")
            .await,
        2
    );
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn fact_of_a_writer_killed_before_publishing_is_published_once(pool: PgPool) {
    let world = World::new(pool).await;
    assert_all_accepted(&world, &texts(&[report(1, &[])])).await;
    let silent_bus = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let job = world.cron_to(publisher_to(&format!(
        "http://{}",
        silent_bus.local_addr().unwrap()
    )));
    tokio::select! {
        _ = job.process(RefreshServerStatus(Run::default())) => panic!("the bus never responds"),
        // The job has committed and sent its request. Dropping its future simulates the kill.
        _ = silent_bus.accept() => {}
    }
    let (_, fact) = world.facts().await.remove(0);
    let bus = Bus::start().await;
    let job = world.cron_to(publisher_to(bus.endpoint()));
    world.clock.set(at(NOW) + TimeDelta::seconds(60));
    job.process(RefreshServerStatus(Run::default()))
        .await
        .unwrap();
    for _ in 0..2 {
        job.process(SweepOutboxJob(Run::default())).await.unwrap();
    }
    assert_eq!(fact["node_server_id"], 1);
    assert_eq!(bus.details(), [fact]);
    assert!(world.facts().await.is_empty());
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn messages_of_newer_code_wait_and_delay_no_others(pool: PgPool) {
    let world = World::new(pool).await;
    world
        .sql("alter type telecom.outbox_destination add value 'of_newer_code'")
        .await;
    world
        .sql(
            "insert into telecom.outbox (id, destination, detail_type, body, created_at, send_after)
             values (gen_random_uuid(), 'of_newer_code', null, '{}', '2026-03-09Z', '2026-03-09Z'),
                (gen_random_uuid(), 'event_bus', 'Fact', '{}', '2026-03-10Z', '2026-03-10Z')",
        )
        .await;
    let bus = Bus::start().await;
    let swept = world
        .cron_to(publisher_to(bus.endpoint()))
        .process(SweepOutboxJob(Run::default()))
        .await
        .unwrap();
    assert_eq!((swept.sent, swept.failed), (1, 0));
    assert_eq!(world.number("select count(*) from telecom.outbox").await, 1);
}

/// SQS with dead-letter queues of 0, 1, 2, … messages, in the order of [`Queue`]. The queue of
/// orders does not exist.
async fn dead_letter_queues() -> Web {
    Web::start(|request| {
        let asked: Value = serde_json::from_str(request.body()).unwrap();
        assert_eq!(
            asked["AttributeNames"],
            json!(["ApproximateNumberOfMessages"])
        );
        let name = asked["QueueUrl"].as_str().unwrap().rsplit('/').next();
        let name = name.unwrap().strip_suffix("-dlq").unwrap();
        if name == "package-order" {
            let error = json!({ "__type": "com.amazonaws.sqs#QueueDoesNotExist" });
            return (400, error.to_string());
        }
        let messages = Queue::VARIANTS
            .iter()
            .position(|queue| <&str>::from(*queue) == name);
        let count = messages.unwrap().to_string();
        let attributes = json!({ "Attributes": { "ApproximateNumberOfMessages": count } });
        (200, attributes.to_string())
    })
    .await
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn dead_letters_of_each_queue_that_responds_are_counted(pool: PgPool) {
    let world = World::new(pool).await;
    world
        .sql(
            "insert into telecom.dead_letter_queue values ('package-order', 9, '2026-03-09Z'),
            ('node-usage', 9, '2026-03-09Z')",
        )
        .await;
    let sqs = dead_letter_queues().await;
    let swept = world
        .cron_to(publisher_with_dead_letter_queues(sqs.url()))
        .process(SweepOutboxJob(Run::default()))
        .await
        .unwrap();
    assert_eq!(
        (swept.complete, swept.dead_letters),
        (true, 1 + 2 + 3 + 5 + 6)
    );
    let counts: Vec<(String, i64, bool)> = sqlx::query_as(
        "select queue, message_count, counted_at = $1 from telecom.dead_letter_queue
         order by message_count",
    )
    .bind(at(NOW))
    .fetch_all(&world.pool)
    .await
    .unwrap();
    let expected = [
        ("usage-report", 0, true),
        ("node-usage", 1, true),
        ("user-usage-billing", 2, true),
        ("package-expiring", 3, true),
        ("webhook-event", 5, true),
        ("schedule", 6, true),
        // The older number is kept, with its time.
        ("package-order", 9, false),
    ];
    assert_eq!(
        counts,
        expected.map(|(queue, count, now)| (queue.to_owned(), count, now))
    );
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn the_outbox_is_swept_although_dead_letters_cannot_be_counted(pool: PgPool) {
    let world = World::new(pool).await;
    let unreachable = publisher_with_dead_letter_queues("http://127.0.0.1:9");
    let sqs = dead_letter_queues().await;
    let refused = publisher_with_dead_letter_queues(sqs.url());
    world
        .sql("revoke insert on telecom.dead_letter_queue from telecom_writer")
        .await;
    for publisher in [unreachable, refused] {
        let job = world.cron_to(publisher);
        let swept = job.process(SweepOutboxJob(Run::default())).await.unwrap();
        assert_eq!((swept.complete, swept.dead_letters), (true, 0));
    }
}
