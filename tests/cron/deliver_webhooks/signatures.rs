//! Signatures verify with the library of the authors of Standard Webhooks.

use http::HeaderMap;
use http::header::{HeaderName, HeaderValue};
use shared::clock::Clock;
use shared::services::Processor;
use shared::services::change::Requested;
use shared::services::manage::RotateWebhookSecret;
use sqlx::PgPool;
use standardwebhooks::Webhook;
use telecom_tests::receiver::{Answer, Received, Receiver};
use telecom_tests::{World, actor};

use super::{LONG, set};

fn headers(request: &Received) -> HeaderMap {
    let header = |(name, value): (&String, &String)| {
        let name: HeaderName = name.parse().unwrap();
        (name, HeaderValue::from_str(value).unwrap())
    };
    request.headers.iter().map(header).collect()
}

/// Whether the library accepts a request with a secret.
fn verifies(request: &Received, secret: &str) -> bool {
    let webhook = Webhook::new(secret).unwrap();
    webhook
        .verify(request.body.as_bytes(), &headers(request))
        .is_ok()
}

/// A world whose clock is that of the machine, because the library checks the time of a request.
async fn present(pool: PgPool) -> World {
    let world = World::new(pool).await;
    world.clock.set(shared::clock::System.now());
    world
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_library_that_is_not_ours_verifies_the_signatures(pool: PgPool) {
    let world = present(pool).await;
    let receiver = Receiver::start(|_| Answer::ACCEPTED).await;
    let secret = world.webhook(&receiver.url(), &[]).await.secret.unwrap();
    let other = world
        .webhook(&receiver.url(), &["UsageDrifted"])
        .await
        .secret
        .unwrap();
    world.publish("PackageExpired", 1..=20).await;
    assert_eq!(world.deliver_webhooks(LONG).await.delivered, 20);
    for request in receiver.received() {
        assert!(verifies(&request, &secret));
        assert!(!verifies(&request, &other));
        let changed = Received {
            body: request.body.replace("PackageExpired", "PackageActivated"),
            ..request
        };
        assert!(!verifies(&changed, &secret));
    }
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn both_secrets_verify_until_the_overlap_of_a_rotation_ends(pool: PgPool) {
    let world = present(pool).await;
    let receiver = Receiver::start(|_| Answer::ACCEPTED).await;
    let created = world.webhook(&receiver.url(), &[]).await;
    let rotate = RotateWebhookSecret {
        id: created.webhook.id,
        overlap_seconds: 60,
        reason: "test".to_owned(),
    };
    let rotate = Requested::by(actor(1), rotate);
    let rotated = world.webhook_admin().process(rotate).await.unwrap();
    let [old, new] = [created.secret.unwrap(), rotated.secret.unwrap()];
    assert_ne!(old, new);

    let start = world.clock.now();
    for (number, seconds, old_verifies) in [(1, 0, true), (2, 59, true), (3, 60, false)] {
        world.clock.set(start + chrono::TimeDelta::seconds(seconds));
        world.publish("PackageExpired", [number]).await;
        assert_eq!(world.deliver_webhooks(LONG).await.delivered, 1);
        let request = receiver.received().pop().unwrap();
        assert!(verifies(&request, &new), "{seconds}");
        assert_eq!(verifies(&request, &old), old_verifies, "{seconds}");
    }
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_repeated_attempt_has_the_same_id_and_a_new_time(pool: PgPool) {
    let world = World::new(pool).await;
    let receiver = Receiver::start(|request| match request {
        0 => Answer::Status(500, ""),
        _ => Answer::ACCEPTED,
    })
    .await;
    world.webhook(&receiver.url(), &[]).await;
    world.publish("PackageExpired", [1]).await;
    world.deliver_webhooks(LONG).await;
    set(&world, 10);
    world.deliver_webhooks(LONG).await;
    let [first, second]: [Received; 2] = receiver.received().try_into().unwrap();
    let header = |request: &Received, name: &str| request.headers[name].clone();
    assert_eq!(header(&first, "webhook-id"), header(&second, "webhook-id"));
    let time = |request: &Received| header(request, "webhook-timestamp").parse::<i64>().unwrap();
    assert_eq!(time(&second) - time(&first), 10);
    assert_eq!(first.body, second.body);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn secrets_are_stored_encrypted(pool: PgPool) {
    let world = World::new(pool).await;
    let created = world.webhook("https://hooks.example.com/", &[]).await;
    let secret = created.secret.unwrap();
    let bytes = secret.strip_prefix("whsec_").unwrap();
    let stored = "select count(*) from telecom.webhook
        where position(decode($1, 'base64') in sealed_secret) > 0";
    let stored: i64 = sqlx::query_scalar(stored)
        .bind(bytes)
        .fetch_one(&world.pool)
        .await
        .unwrap();
    assert_eq!(stored, 0);
    let anywhere = "select count(*) from telecom.audit_entry a
        where position($1 in a::text) > 0";
    let anywhere: i64 = sqlx::query_scalar(anywhere)
        .bind(bytes)
        .fetch_one(&world.pool)
        .await
        .unwrap();
    assert_eq!(anywhere, 0);
}

/// As after a key was lost. The facts wait until it is back, or until the secret is rotated.
#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_secret_that_cannot_be_decrypted_sends_nothing(pool: PgPool) {
    let world = World::new(pool).await;
    let receiver = Receiver::start(|_| Answer::ACCEPTED).await;
    world.webhook(&receiver.url(), &[]).await;
    world.webhook(&receiver.url(), &["UsageDrifted"]).await;
    // Each secret is only that of its own webhook.
    let exchange = "update telecom.webhook w set sealed_secret = o.sealed_secret
        from telecom.webhook o where o.id <> w.id";
    world.sql(exchange).await;
    world.publish("PackageExpired", [1]).await;
    assert_eq!(world.deliver_webhooks(LONG).await.retried, 1);
    assert_eq!(receiver.received().len(), 0);
    let unreadable = Some("unreadable_secret".to_owned());
    assert_eq!(
        world.deliveries().await,
        [("pending".to_owned(), 1, None, unreadable)]
    );
}
