//! A committed message has succeeded, even if sending its facts fails afterwards.

use std::time::Duration;

use lambda_runtime::Context as Invocation;
use serde_json::json;
use shared::clock::{Clock, System};
use shared::lambda::sqs;
use shared::services::queue::apply_user_usage_billing::TelecomBillingHook;
use sqlx::PgPool;
use telecom_tests::{NOW, SERVER, World, at, event_of, publisher_to, user};
use tokio::net::TcpListener;

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn message_succeeds_even_if_its_facts_cannot_be_sent_in_time(pool: PgPool) {
    let world = World::new(pool).await;
    world
        .active_item(user(1), world.package(10, 30).await)
        .await;
    // Accepts connections and never responds.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let publisher = publisher_to(&format!("http://{}", silent.local_addr().unwrap()));
    let hook = TelecomBillingHook::new(world.writer.clone(), publisher, world.context());
    let event = json!({
        "server_id": SERVER, "user": user(1), "billed_upload": 60, "billed_download": 0,
            "time": at(NOW).timestamp()
    });
    let mut invocation = Invocation::default();
    invocation.deadline =
        u64::try_from((System.now() + Duration::from_secs(3)).timestamp_millis()).unwrap();
    let delivery = serde_json::from_value(event_of(&[event.to_string()])).unwrap();
    let response = sqs::handle(&hook, delivery, &invocation).await.unwrap();
    assert!(response.batch_item_failures.is_empty());
    assert_eq!(world.items(user(1)).await, [("active".into(), 60, 0)]);
    // The unsent messages stay in the outbox for the sweep.
    assert_eq!(world.facts().await.len(), 3);
    assert_eq!(world.take_outbox("package_expiring").await.len(), 1);
}
