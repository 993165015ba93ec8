//! No request reaches an address that is not public, whatever a receiver's name resolves to.

use std::sync::Arc;

use shared::domain::webhook::url::Receivers;
use shared::events::webhook::sender::WebhookSender;
use shared::services::Processor;
use shared::services::cron::Run;
use shared::services::cron::deliver_webhooks::DeliverWebhooksJob;
use sqlx::PgPool;
use telecom_tests::World;
use telecom_tests::receiver::{Answer, Receiver};
use telecom_tests::webhook::{HOST, Names};

use super::{LONG, SHORT, set};

/// Delivers one fact to a URL, with these names and the rules of a deployment, and returns why the
/// attempt failed.
async fn failure(world: &World, names: &Arc<Names>, url: &str) -> Option<String> {
    world.sql("delete from telecom.webhook_delivery").await;
    world.sql("delete from telecom.webhook").await;
    world.webhook(url, &[]).await;
    world.publish("PackageExpired", [1]).await;
    let names = Arc::<Names>::clone(names);
    let sender = WebhookSender::with(names, Receivers::Public, SHORT);
    let job = DeliverWebhooksJob(Run::default());
    world.dispatcher(sender).process(job).await.unwrap();
    let [(_, _, status, failure)] = world.deliveries().await.try_into().unwrap();
    assert_eq!(status, None, "{url}");
    failure
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn names_of_addresses_that_are_not_public_get_no_request(pool: PgPool) {
    let world = World::new(pool).await;
    let url = format!("https://{HOST}/");
    let addresses: [&[&str]; 7] = [
        &["127.0.0.1"],
        &["10.0.0.7"],
        &["169.254.169.254"],
        &["::1"],
        &["::ffff:127.0.0.1"],
        &["fd00:ec2::254"],
        // One public address does not help.
        &["1.1.1.1", "127.0.0.1"],
    ];
    for addresses in addresses {
        let names = Names::of(&[(HOST, &[addresses])]);
        let forbidden = Some("forbidden_address".to_owned());
        assert_eq!(
            failure(&world, &names, &url).await,
            forbidden,
            "{addresses:?}"
        );
        assert_eq!(names.asked(), [HOST], "the host is looked up once");
    }
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn hosts_that_are_addresses_get_no_request(pool: PgPool) {
    let world = World::new(pool).await;
    let names = Names::of(&[]);
    for host in [
        "127.0.0.1",
        "2130706433",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "localhost",
    ] {
        for scheme in ["http", "https"] {
            let url = format!("{scheme}://{host}/");
            let failure = failure(&world, &names, &url).await;
            assert_eq!(failure.as_deref(), Some("forbidden_address"), "{url}");
        }
    }
    assert_eq!(names.asked(), [""; 0]);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_name_without_address_is_recorded_as_unknown(pool: PgPool) {
    let world = World::new(pool).await;
    let names = Names::of(&[("empty.test", &[&[]])]);
    for url in ["https://unknown.test/", "https://empty.test/"] {
        let failure = failure(&world, &names, url).await;
        assert_eq!(failure.as_deref(), Some("unknown_host"), "{url}");
    }
}

/// A name changes its address between two look-ups (DNS rebinding). The connection is made to an
/// address of the look-up that was checked, because there is no second one.
#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_name_that_changes_its_address_is_checked_at_each_attempt(pool: PgPool) {
    let world = World::new(pool).await;
    let receiver = Receiver::start(|_| Answer::Status(500, "")).await;
    // Nothing listens at the second address, to which a second look-up would lead.
    let names = Names::of(&[(HOST, &[&["127.0.0.1"], &["127.0.0.2"]])]);
    let attempt = async |receivers| {
        let names = Arc::<Names>::clone(&names);
        let sender = WebhookSender::with(names, receivers, LONG);
        let job = DeliverWebhooksJob(Run::default());
        world.dispatcher(sender).process(job).await.unwrap();
        let [(_, _, status, failure)] = world.deliveries().await.try_into().unwrap();
        (status, failure.unwrap())
    };
    world.webhook(&receiver.url(), &[]).await;
    world.publish("PackageExpired", [1]).await;
    assert_eq!(
        attempt(Receivers::Any).await,
        (Some(500), "status".to_owned())
    );
    assert_eq!(names.asked(), [HOST]);

    set(&world, 10);
    world
        .sql("update telecom.webhook set url = 'https://receiver.test/'")
        .await;
    assert_eq!(
        attempt(Receivers::Public).await,
        (None, "forbidden_address".to_owned())
    );
    assert_eq!(names.asked(), [HOST, HOST]);
    assert_eq!(receiver.received().len(), 1);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_redirect_to_a_forbidden_address_is_not_followed(pool: PgPool) {
    let world = World::new(pool).await;
    let inner = Receiver::start(|_| Answer::ACCEPTED).await;
    let location: &'static str = format!("location: http://{HOST}:{}/\r\n", inner.port()).leak();
    for status in [301, 302, 303, 307, 308] {
        let outer = Receiver::start(move |_| Answer::Status(status, location)).await;
        world.sql("delete from telecom.webhook_delivery").await;
        world.sql("delete from telecom.webhook").await;
        world.webhook(&outer.url(), &[]).await;
        world.publish("PackageExpired", [1]).await;
        assert_eq!(world.deliver_webhooks(LONG).await.retried, 1);
        assert_eq!(outer.received().len(), 1);
    }
    assert_eq!(inner.received().len(), 0);
}
