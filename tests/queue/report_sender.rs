//! A sender that is bound to servers may report for these servers only. A bound server accepts
//! reports of its bound senders only.

use rstest::rstest;
use sqlx::PgPool;
use telecom_tests::report::{report, report_of, texts};
use telecom_tests::{NOW, World, at, message_id, user};

use super::ingest_usage_report::assert_all_accepted;

const COLLECTOR: &str = "AIDACOLLECTOR";
const ROLE_SESSION: &str = "AROANODE:i-0123";

async fn bind(world: &World, sender: &str, server: i32) {
    world
        .sql(&format!(
            "insert into telecom.report_sender values ('{sender}', {server})"
        ))
        .await;
}

/// Whether `sender`'s reports for the servers 1 and 2 are accepted.
async fn accepted(world: &World, sender: &str) -> [bool; 2] {
    let bodies = [(1, 1), (2, 2)].map(|(id, server)| report_of(id, server, at(NOW), &[]));
    let failed = world.report_from(sender, &texts(&bodies)).await;
    [0, 1].map(|index| !failed.contains(&message_id(index)))
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn sender_is_stored_with_each_report(pool: PgPool) {
    let world = World::new(pool).await;
    let bodies = texts(&[report(1, &[(user(1), 1, 1)])]);
    assert!(world.report_from(ROLE_SESSION, &bodies).await.is_empty());
    assert_all_accepted(&world, &texts(&[report(2, &[])])).await;
    let stored: Vec<Option<String>> =
        sqlx::query_scalar("select sender_id from telecom.usage_report order by seq")
            .fetch_all(&world.pool)
            .await
            .unwrap();
    assert_eq!(stored, [Some(ROLE_SESSION.to_owned()), None]);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn without_bindings_every_sender_may_report_for_every_server(pool: PgPool) {
    let world = World::new(pool).await;
    world.server(2, &[]).await;
    assert_eq!(accepted(&world, COLLECTOR).await, [true, true]);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn bound_sender_may_not_report_for_other_servers(pool: PgPool) {
    let world = World::new(pool).await;
    world.server(2, &[]).await;
    bind(&world, COLLECTOR, 1).await;
    assert_eq!(accepted(&world, COLLECTOR).await, [true, false]);
    assert_eq!(
        world
            .number("select count(*) from telecom.usage_report")
            .await,
        1
    );
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn bound_server_accepts_no_other_sender(pool: PgPool) {
    let world = World::new(pool).await;
    world.server(2, &[]).await;
    bind(&world, COLLECTOR, 1).await;
    assert_eq!(accepted(&world, "AIDAOTHER").await, [false, true]);
    assert_eq!(
        world.report(&texts(&[report(3, &[])])).await,
        [message_id(0)],
        "a message without a sender"
    );
}

#[rstest]
#[case::role("AROANODE", [true, false])]
#[case::this_session(ROLE_SESSION, [true, false])]
#[case::another_session("AROANODE:i-9999", [false, true])]
#[case::longer_role_id("AROANODEX", [false, true])]
#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn binding_of_a_role_covers_all_of_its_sessions(
    #[case] bound: &str,
    #[case] expected: [bool; 2],
    #[ignore] pool: PgPool,
) {
    let world = World::new(pool).await;
    world.server(2, &[]).await;
    bind(&world, bound, 1).await;
    assert_eq!(accepted(&world, ROLE_SESSION).await, expected);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn refused_report_is_accepted_after_the_binding_is_corrected(pool: PgPool) {
    let world = World::new(pool).await;
    world.server(2, &[]).await;
    bind(&world, COLLECTOR, 2).await;
    assert_eq!(accepted(&world, COLLECTOR).await, [false, true]);
    bind(&world, COLLECTOR, 1).await;
    assert_eq!(accepted(&world, COLLECTOR).await, [true, true]);
}
