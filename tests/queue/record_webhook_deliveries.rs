//! Facts become deliveries, once per webhook that wants them.

use lambda_runtime::Context as Invocation;
use shared::lambda::sqs;
use shared::services::Processor;
use shared::services::change::Requested;
use shared::services::manage::DisableWebhook;
use sqlx::PgPool;
use telecom_tests::webhook::{entry, event};
use telecom_tests::{World, actor, deliver, event_of, failures, message_id};
use uuid::Uuid;

const URL: &str = "https://hooks.example.com/";

/// The recorded deliveries: webhook and fact.
async fn recorded(world: &World) -> Vec<(Uuid, Uuid)> {
    sqlx::query_as("select webhook_id, event_id from telecom.webhook_delivery order by id")
        .fetch_all(&world.pool)
        .await
        .unwrap()
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_fact_is_recorded_for_each_webhook_whose_filter_it_matches(pool: PgPool) {
    let world = World::new(pool).await;
    let all = world.webhook(URL, &[]).await.webhook.id;
    let expired = world
        .webhook(URL, &["PackageExpired", "UsageDrifted"])
        .await
        .webhook
        .id;
    let disabled = world.webhook(URL, &[]).await.webhook.id;
    let disable = DisableWebhook {
        id: disabled,
        reason: "test".to_owned(),
    };
    let disable = Requested::by(actor(1), disable);
    world.webhook_admin().process(disable).await.unwrap();

    world.publish("PackageActivated", [1]).await;
    world.publish("PackageExpired", [2]).await;
    world.publish("ATypeOfTheFuture", [3]).await;

    let mut found = recorded(&world).await;
    found.sort_unstable();
    let mut expected = vec![
        (all, event(1)),
        (all, event(2)),
        (all, event(3)),
        (expired, event(2)),
    ];
    expected.sort_unstable();
    assert_eq!(found, expected);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_repeated_fact_changes_nothing(pool: PgPool) {
    let world = World::new(pool).await;
    world.webhook(URL, &[]).await;
    world.publish("PackageExpired", [1, 2, 1]).await;
    world
        .sql("update telecom.webhook_delivery set status = 'delivered', attempts = 3")
        .await;
    // As of a repeated delivery of the queue, and of a replay of the bus's archive.
    world.publish("PackageExpired", [2, 1, 3]).await;
    let found: Vec<_> = world.deliveries().await;
    let states: Vec<_> = found
        .iter()
        .map(|(status, attempts, ..)| (&**status, *attempts))
        .collect();
    assert_eq!(states, [("delivered", 3), ("delivered", 3), ("pending", 0)]);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn concurrent_deliveries_of_the_same_facts_record_each_once(pool: PgPool) {
    let world = World::new(pool).await;
    for _ in 0..3 {
        world.webhook(URL, &[]).await;
    }
    let forward = world.publish("PackageExpired", 1..=200);
    let backward = world.publish("PackageExpired", (1..=200).rev());
    tokio::join!(forward, backward);
    assert_eq!(recorded(&world).await.len(), 600);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn an_unreadable_entry_fails_alone(pool: PgPool) {
    let world = World::new(pool).await;
    world.webhook(URL, &[]).await;
    let bodies = [
        entry(1, "PackageExpired"),
        "{}".to_owned(),
        entry(2, "not a name"),
        entry(3, "PackageExpired"),
    ];
    let failed = failures(&deliver(&world.webhook_events(), &bodies).await);
    assert_eq!(failed, [message_id(1), message_id(2)]);
    assert_eq!(recorded(&world).await.len(), 2);
}

#[tokio::test]
async fn facts_are_delivered_again_after_an_outage_of_the_database() {
    let world = World::offline();
    let event = serde_json::from_value(event_of(&[entry(1, "PackageExpired")])).unwrap();
    let outcome = sqs::handle(&world.webhook_events(), event, &Invocation::default()).await;
    assert_eq!(outcome.unwrap_err().code(), "unavailable");
}
