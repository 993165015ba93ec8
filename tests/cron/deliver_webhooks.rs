//! Facts reach the receivers of webhooks, whatever other receivers do.

mod addresses;
mod signatures;

use std::time::{Duration, Instant};

use chrono::TimeDelta;
use shared::services::Processor;
use shared::services::change::Requested;
use shared::services::cron::Run;
use shared::services::cron::deliver_webhooks::{CLAIM, DeliverWebhooksJob, DeliveredWebhooks};
use shared::services::manage::{DisableWebhook, RedeliverWebhook};
use sqlx::PgPool;
use telecom_tests::receiver::{Answer, Receiver};
use telecom_tests::webhook::event;
use telecom_tests::{NOW, World, actor, at, until};

/// Maximum time of requests that are answered or fail.
const LONG: Duration = Duration::from_secs(30);
/// Maximum time of requests that are not answered.
const SHORT: Duration = Duration::from_millis(300);

/// Sets the clock of a world to seconds after its start.
fn set(world: &World, seconds: i64) {
    world.clock.set(at(NOW) + TimeDelta::seconds(seconds));
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_fact_is_posted_once_and_recorded_as_delivered(pool: PgPool) {
    let world = World::new(pool).await;
    let receiver = Receiver::start(|_| Answer::ACCEPTED).await;
    world.webhook(&receiver.url(), &[]).await;
    world.publish("PackageExpired", [1]).await;
    assert_eq!(world.deliver_webhooks(LONG).await.delivered, 1);
    assert_eq!(world.deliver_webhooks(LONG).await.delivered, 0);

    let requests = receiver.received();
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].line, "POST /hook HTTP/1.1");
    assert_eq!(requests[0].headers["webhook-id"], event(1).to_string());
    assert_eq!(requests[0].headers["content-type"], "application/json");
    let body: serde_json::Value = serde_json::from_str(&requests[0].body).unwrap();
    assert_eq!(body["type"], "PackageExpired");
    assert_eq!(body["timestamp"], NOW);
    assert_eq!(body["data"]["event_id"], event(1).to_string());
    let delivered = ("delivered".to_owned(), 1, Some(204), None);
    assert_eq!(world.deliveries().await, [delivered]);
}

/// One receiver never answers. All facts of the other one arrive, while no request to the first one
/// has ended, and no fact of the first one is lost.
#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_receiver_that_hangs_delays_no_other_and_loses_nothing(pool: PgPool) {
    let world = World::new(pool).await;
    let hanging = Receiver::start(|_| Answer::Hang).await;
    let sound = Receiver::start(|_| Answer::ACCEPTED).await;
    world.webhook(&hanging.url(), &[]).await;
    world.webhook(&sound.url(), &[]).await;
    world.publish("PackageExpired", 1..=200).await;
    let dispatcher = world.dispatcher(World::local_sender(LONG));
    let run = tokio::spawn(async move {
        let _ = dispatcher.process(DeliverWebhooksJob(Run::default())).await;
    });
    until("all facts arrive", async || sound.received().len() == 200).await;
    until("the facts are recorded", async || {
        delivered(&world).await == 200
    })
    .await;
    assert_eq!(
        hanging.received().len(),
        8,
        "requests of a webhook at the same time"
    );
    assert_eq!(attempted(&world).await, 200);

    // The run is killed. Its claims end, and the next run makes these attempts.
    run.abort();
    let _ = run.await;
    assert_eq!(world.deliver_webhooks(SHORT).await.retried, 192);
    set(&world, CLAIM.num_seconds());
    assert!(world.deliver_webhooks(SHORT).await.retried >= 8);
    assert_eq!(world.deliver_webhooks(SHORT).await.delivered, 0);
    let waiting = "select count(*) from telecom.webhook_delivery
        where status = 'pending' and attempts > 0 and failure = 'timed_out'";
    assert_eq!(world.number(waiting).await, 200);
}

async fn delivered(world: &World) -> i64 {
    let count = "select count(*) from telecom.webhook_delivery where status = 'delivered'";
    world.number(count).await
}

async fn attempted(world: &World) -> i64 {
    let count = "select count(*) from telecom.webhook_delivery where attempts > 0";
    world.number(count).await
}

/// For an hour, a receiver fails in every way. The other one gets each fact at once. Afterwards,
/// the first one gets all.
#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn an_hour_of_failures_delays_no_other_and_loses_nothing(pool: PgPool) {
    let world = World::new(pool).await;
    let broken = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(true));
    let is_broken = std::sync::Arc::clone(&broken);
    let failing = Receiver::start(move |request| {
        if !is_broken.load(std::sync::atomic::Ordering::SeqCst) {
            return Answer::ACCEPTED;
        }
        match request % 5 {
            0 => Answer::Hang,
            1 => Answer::Status(500, ""),
            2 => Answer::Status(302, "location: http://127.0.0.1:9/\r\n"),
            3 => Answer::Reset,
            _ => Answer::DripHead,
        }
    })
    .await;
    let sound = Receiver::start(|_| Answer::ACCEPTED).await;
    world.webhook(&failing.url(), &[]).await;
    world.webhook(&sound.url(), &[]).await;
    for minute in 0..60 {
        set(&world, minute * 60);
        let number = u128::try_from(minute).unwrap();
        world.publish("PackageExpired", [number]).await;
        let done = world.deliver_webhooks(SHORT).await;
        assert_eq!((done.delivered, done.failed), (1, 0), "minute {minute}");
    }
    assert_eq!(sound.received().len(), 60);
    broken.store(false, std::sync::atomic::Ordering::SeqCst);
    // The longest pause is two hours and a fifth.
    for hour in 1..=4 {
        set(&world, hour * 3600);
        world.deliver_webhooks(SHORT).await;
    }
    assert_eq!(delivered(&world).await, 120);
    let ids = |receiver: &Receiver| {
        let requests = receiver.received();
        let ids = requests.iter().map(|one| one.headers["webhook-id"].clone());
        ids.collect::<std::collections::BTreeSet<String>>()
    };
    assert_eq!(ids(&failing), ids(&sound));
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn each_kind_of_failure_is_recorded_and_attempted_again(pool: PgPool) {
    let world = World::new(pool).await;
    let answers: [(Answer, Option<i32>, &str); 6] = [
        (Answer::Status(500, ""), Some(500), "status"),
        (Answer::Status(400, ""), Some(400), "status"),
        (
            Answer::Status(307, "location: http://127.0.0.1:9/\r\n"),
            Some(307),
            "redirect",
        ),
        (Answer::Reset, None, "connection"),
        (Answer::Hang, None, "timed_out"),
        (Answer::DripHead, None, "timed_out"),
    ];
    let mut expected = Vec::new();
    for (answer, status, failure) in answers {
        let receiver = Receiver::start(move |_| answer.clone()).await;
        world.webhook(&receiver.url(), &[]).await;
        expected.push(("pending".to_owned(), 1, status, Some(failure.to_owned())));
        // The receiver lives until the end of the test.
        std::mem::forget(receiver);
    }
    world.publish("PackageExpired", [1]).await;
    assert_eq!(world.deliver_webhooks(SHORT).await.retried, 6);
    let mut found = world.deliveries().await;
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
    set(&world, 7);
    assert_eq!(world.deliver_webhooks(SHORT).await.retried, 6);
}

/// The head of the response decides. Bodies are not read, whatever their length.
#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_body_without_end_delays_nothing(pool: PgPool) {
    let world = World::new(pool).await;
    let flood = Receiver::start(|_| Answer::Flood).await;
    let drip = Receiver::start(|_| Answer::DripBody).await;
    world.webhook(&flood.url(), &[]).await;
    world.webhook(&drip.url(), &[]).await;
    world.publish("PackageExpired", 1..=20).await;
    let began = Instant::now();
    assert_eq!(world.deliver_webhooks(LONG).await.delivered, 40);
    assert!(began.elapsed() < LONG);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_delivery_is_given_up_after_a_day_and_can_be_repeated(pool: PgPool) {
    let world = World::new(pool).await;
    let receiver = Receiver::start(|_| Answer::Status(503, "retry-after: 600\r\n")).await;
    world.webhook(&receiver.url(), &[]).await;
    world.publish("PackageExpired", [1]).await;
    assert_eq!(world.deliver_webhooks(LONG).await.retried, 1);
    set(&world, 599);
    assert_eq!(world.deliver_webhooks(LONG).await.retried, 0);
    set(&world, 600);
    assert_eq!(world.deliver_webhooks(LONG).await.retried, 1);
    set(&world, 86_400);
    assert_eq!(world.deliver_webhooks(LONG).await.failed, 1);
    set(&world, 2 * 86_400);
    assert_eq!(
        world.deliver_webhooks(LONG).await,
        DeliveredWebhooks::default()
    );

    let again = RedeliverWebhook {
        id: 1,
        reason: "repaired".to_owned(),
    };
    let again = Requested::by(actor(1), again);
    let shown = world.webhook_admin().process(again).await.unwrap();
    assert_eq!(shown.delivery.next_attempt_at, Some(world.context().now()));
    assert_eq!(world.deliver_webhooks(LONG).await.retried, 1);
    let ids: Vec<String> = receiver
        .received()
        .iter()
        .map(|one| one.headers["webhook-id"].clone())
        .collect();
    assert_eq!(ids, vec![event(1).to_string(); 4]);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_receiver_that_is_gone_gets_nothing_more(pool: PgPool) {
    let world = World::new(pool).await;
    let receiver = Receiver::start(|_| Answer::Status(410, "")).await;
    world.webhook(&receiver.url(), &[]).await;
    world.publish("PackageExpired", [1]).await;
    assert_eq!(world.deliver_webhooks(LONG).await.failed, 1);
    world.publish("PackageExpired", [2]).await;
    set(&world, 86_400);
    world.deliver_webhooks(LONG).await;
    assert_eq!(receiver.received().len(), 1);
    let by: String = sqlx::query_scalar("select disabled_by::text from telecom.webhook")
        .fetch_one(&world.pool)
        .await
        .unwrap();
    assert_eq!(by, "gone");
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_disabled_webhook_gets_nothing_and_keeps_its_log(pool: PgPool) {
    let world = World::new(pool).await;
    let receiver = Receiver::start(|_| Answer::ACCEPTED).await;
    let id = world.webhook(&receiver.url(), &[]).await.webhook.id;
    // Another one, so that the job has work to look for.
    world.webhook(&receiver.url(), &["UsageDrifted"]).await;
    world.publish("PackageExpired", [1]).await;
    let disable = DisableWebhook {
        id,
        reason: "test".to_owned(),
    };
    let disable = Requested::by(actor(1), disable);
    world.webhook_admin().process(disable).await.unwrap();
    assert_eq!(
        world.deliver_webhooks(LONG).await,
        DeliveredWebhooks::default()
    );
    assert_eq!(receiver.received().len(), 0);
    assert_eq!(world.deliveries().await.len(), 1);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn two_runs_at_once_send_each_fact_once(pool: PgPool) {
    let world = World::new(pool).await;
    let receiver = Receiver::start(|_| Answer::Slow(Duration::from_millis(5))).await;
    world.webhook(&receiver.url(), &[]).await;
    world.publish("PackageExpired", 1..=100).await;
    let (one, other) = tokio::join!(world.deliver_webhooks(LONG), world.deliver_webhooks(LONG));
    assert_eq!(one.delivered + other.delivered, 100);
    assert_eq!(receiver.received().len(), 100);
}

/// The run that lost its claim must not overwrite what another one recorded since.
#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn an_attempt_that_outlives_its_claim_is_not_recorded(pool: PgPool) {
    let world = World::new(pool).await;
    let receiver = Receiver::start(|request| match request {
        0 => Answer::Hang,
        _ => Answer::ACCEPTED,
    })
    .await;
    world.webhook(&receiver.url(), &[]).await;
    world.publish("PackageExpired", [1]).await;
    let late = async {
        let done = world.deliver_webhooks(Duration::from_secs(3)).await;
        assert_eq!(done.retried, 1);
    };
    let other = async {
        until("the first request", async || receiver.received().len() == 1).await;
        set(&world, CLAIM.num_seconds());
        assert_eq!(world.deliver_webhooks(LONG).await.delivered, 1);
    };
    tokio::join!(late, other);
    let delivered = ("delivered".to_owned(), 1, Some(204), None);
    assert_eq!(world.deliveries().await, [delivered]);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn without_webhooks_a_run_ends_at_once_and_needs_no_key(pool: PgPool) {
    let world = World::new(pool).await;
    let minute = Run::within(Some(Duration::from_mins(1))).repeating(Some(SHORT));
    let began = Instant::now();
    let dispatcher = world.dispatcher(World::local_sender(LONG));
    let done = dispatcher
        .process(DeliverWebhooksJob(minute))
        .await
        .unwrap();
    assert_eq!(done, DeliveredWebhooks::default());
    assert!(began.elapsed() < Duration::from_secs(30));
}

#[tokio::test]
async fn a_run_fails_while_the_database_is_unreachable() {
    let world = World::offline();
    let dispatcher = world.dispatcher(World::local_sender(LONG));
    let error = dispatcher.process(DeliverWebhooksJob(Run::default())).await;
    assert_eq!(error.unwrap_err().code(), "unavailable");
}
