//! What a crash left in the outbox is sent later, by one sender at a time.

use chrono::TimeDelta;
use shared::db::outbox;
use sqlx::PgPool;
use telecom_tests::report::{report, texts};
use telecom_tests::{NOW, World, at, user};

async fn lease(world: &World) -> usize {
    let now = world.context().now();
    let mut connection = world.pool.acquire().await.unwrap();
    outbox::lease(&mut connection, now, now + TimeDelta::seconds(60), 100).await.unwrap().len()
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_message_is_its_writers_for_a_minute_and_then_the_sweeps(pool: PgPool) {
    let world = World::new(pool).await;
    assert!(world.report(&texts(&[report(1, &[(user(1), 10, 0)])])).await.is_empty());
    world.bill().await;
    assert_eq!(lease(&world).await, 0);
    world.clock.set(at(NOW) + TimeDelta::seconds(60));
    let (a, b) = tokio::join!(lease(&world), lease(&world));
    assert_eq!(a + b, 1);
    world.clock.set(at(NOW) + TimeDelta::seconds(120));
    assert_eq!(lease(&world).await, 1);
    assert_eq!(world.number("select attempts::bigint from telecom.outbox").await, 2);
}
