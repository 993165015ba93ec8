//! Time expires packages, and nobody with a waiting package stays without one.

use shared::services::Processor;
use shared::services::cron::Run;
use shared::services::cron::package_expiring::{Expired, PackageExpiringJob};
use sqlx::PgPool;
use telecom_tests::{GIB, World, at, user};

async fn expire(world: &World) -> Expired {
    world.cron().process(PackageExpiringJob(Run::default())).await.unwrap()
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_package_expires_at_the_very_moment_its_time_is_over(pool: PgPool) {
    let world = World::new(pool).await;
    let package = world.package(GIB, 1).await;
    world.active_item(user(1), package).await;
    world.waiting_item(user(1), package).await;
    world.clock.set(at("2026-03-11T10:29:59.999999Z"));
    assert_eq!(expire(&world).await.expiring, 0);
    world.clock.set(at("2026-03-11T10:30:00Z"));
    assert_eq!(expire(&world).await.expiring, 1);
    world.settle().await;
    let statuses: Vec<String> = world.items(user(1)).await.into_iter().map(|item| item.0).collect();
    assert_eq!(statuses, ["consumed", "active"]);
    assert_eq!(world.facts().await[0].1["reason"], "time");
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn an_item_is_announced_once_and_again_only_if_nothing_came_of_it(pool: PgPool) {
    let world = World::new(pool).await;
    world.active_item(user(1), world.package(GIB, 1).await).await;
    world.clock.set(at("2026-03-12T00:00:00Z"));
    let (a, b) = tokio::join!(expire(&world), expire(&world));
    assert_eq!(a.expiring + b.expiring + expire(&world).await.expiring, 1);
    world.clock.set(at("2026-03-12T00:10:00Z"));
    assert_eq!(expire(&world).await.expiring, 1);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_user_without_an_active_package_gets_the_oldest_waiting_one(pool: PgPool) {
    let world = World::new(pool).await;
    let package = world.package(GIB, 1).await;
    world.waiting_item(user(1), package).await;
    world.waiting_item(user(1), package).await;
    world.active_item(user(2), package).await;
    world.waiting_item(user(2), package).await;
    let (a, b) = tokio::join!(expire(&world), expire(&world));
    assert_eq!(a.activated + b.activated, 1);
    let statuses: Vec<String> = world.items(user(1)).await.into_iter().map(|item| item.0).collect();
    assert_eq!(statuses, ["active", "in_queue"]);
    assert_eq!(world.facts().await[0].0, "PackageActivated");
}
