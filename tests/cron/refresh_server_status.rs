//! Servers are marked by their silence: quick to see an outage, slow to cry wolf, exact in hindsight.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use shared::services::Processor;
use shared::services::cron::Run;
use shared::services::cron::refresh_server_status::{RefreshServerStatus, Refreshed};
use sqlx::PgPool;
use telecom_tests::report::report_of;
use telecom_tests::{NOW, World, at};

/// A world of servers 1, 2 and 3.
async fn fleet(pool: PgPool) -> World {
    let world = World::new(pool).await;
    world.server(2, &[]).await;
    world.server(3, &[]).await;
    world
}

/// A moment so many seconds after the world began.
fn after(seconds: i64) -> DateTime<Utc> {
    at(NOW) + TimeDelta::seconds(seconds)
}

/// Heartbeats of `servers` for a period that ends `end` seconds after the beginning, delivered now.
async fn beat(world: &World, servers: &[i32], end: i64) {
    let bodies: Vec<String> = servers
        .iter()
        .map(|&server| {
            let mut body = report_of(0, server, after(end), &[]);
            body["report_id"] = json!(uuid::Uuid::new_v4());
            body.to_string()
        })
        .collect();
    assert!(world.report(&bodies).await.is_empty());
}

/// Runs the job so many seconds after the beginning.
async fn refresh(world: &World, seconds: i64) -> Refreshed {
    world.clock.set(after(seconds));
    world.cron().process(RefreshServerStatus(Run::default())).await.unwrap()
}

async fn statuses(world: &World) -> Vec<String> {
    sqlx::query_scalar("select status::text from telecom.node_server order by id").fetch_all(&world.pool).await.unwrap()
}

/// The log of a server: `to` and since when, in seconds after the beginning.
async fn log(world: &World, server: i32) -> Vec<(String, i64)> {
    let rows: Vec<(String, DateTime<Utc>)> = sqlx::query_as(
        "select to_status::text, since from telecom.node_status_transition where node_server_id = $1 order by id",
    )
    .bind(server)
    .fetch_all(&world.pool)
    .await
    .unwrap();
    rows.into_iter().map(|(to, since)| (to, (since - at(NOW)).num_seconds())).collect()
}

async fn fact_kinds(world: &World) -> Vec<String> {
    world.facts().await.into_iter().map(|(kind, _)| kind).collect()
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_server_is_offline_when_it_was_silent_for_longer_than_the_timeout_and_online_when_it_is_heard_again(
    pool: PgPool,
) {
    let world = fleet(pool).await;
    beat(&world, &[1, 2, 3], 0).await;
    assert_eq!(refresh(&world, 0).await, Refreshed { online: 3, ..Refreshed::default() });
    world.clock.set(after(300));
    beat(&world, &[2, 3], 300).await;
    assert_eq!(refresh(&world, 300).await, Refreshed::default(), "at the limit it is not longer");
    assert_eq!(refresh(&world, 301).await, Refreshed { offline: 1, ..Refreshed::default() });
    assert_eq!(statuses(&world).await, ["offline", "online", "online"]);
    assert_eq!(refresh(&world, 330).await, Refreshed::default());
    beat(&world, &[1], 325).await;
    assert_eq!(refresh(&world, 330).await, Refreshed { online: 1, ..Refreshed::default() });
    // Exact in hindsight: the outage began with the last sign of life, and ended with the next.
    let expected = [("offline", 0), ("online", 0), ("offline", 0), ("online", 325)];
    assert_eq!(log(&world, 1).await, expected.map(|(to, since)| (to.to_owned(), since)));
    assert_eq!(fact_kinds(&world).await.iter().filter(|kind| *kind == "NodeServerWentOffline").count(), 1);
    let (_, fact) = world.facts().await.pop().unwrap();
    let told: Value = json!([fact["node_server_id"], fact["from"], fact["since"], fact["version"]]);
    assert_eq!(told, json!([1, "offline", "2026-03-10T10:35:25Z", 1]));
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_single_late_report_of_a_server_that_is_gone_does_not_bring_it_back(pool: PgPool) {
    let world = fleet(pool).await;
    beat(&world, &[1, 2, 3], 0).await;
    refresh(&world, 0).await;
    world.clock.set(after(310));
    beat(&world, &[2, 3], 310).await;
    assert_eq!(refresh(&world, 310).await.offline, 1);
    // Of a period within the timeout, but not within the window in which a server counts as back.
    beat(&world, &[1], 60).await;
    assert_eq!(refresh(&world, 310).await, Refreshed::default());
    assert_eq!(statuses(&world).await[0], "offline");
    world.clock.set(after(361));
    beat(&world, &[2, 3], 361).await;
    assert_eq!(refresh(&world, 361).await, Refreshed::default());
    // It was alive until then, says the log now.
    assert_eq!(log(&world, 1).await.last().unwrap(), &("offline".to_owned(), 60));
    assert_eq!(world.number("select count(*) from telecom.node_status_transition where until < since").await, 0);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_server_whose_reports_are_always_late_comes_back_when_it_has_been_heard_for_a_while(pool: PgPool) {
    let world = fleet(pool).await;
    beat(&world, &[1, 2, 3], 0).await;
    refresh(&world, 0).await;
    world.clock.set(after(310));
    beat(&world, &[2, 3], 310).await;
    assert_eq!(refresh(&world, 310).await.offline, 1);
    let mut back = Vec::new();
    // Each report is four minutes old when it arrives.
    for minute in 6..=10 {
        world.clock.set(after(minute * 60));
        beat(&world, &[2, 3], minute * 60).await;
        beat(&world, &[1], (minute - 4) * 60).await;
        if refresh(&world, minute * 60).await.online == 1 {
            back.push(minute);
        }
    }
    assert_eq!((back, statuses(&world).await[0].as_str()), (vec![7], "online"));
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn when_no_server_is_heard_it_is_the_collection_and_not_the_servers(pool: PgPool) {
    let world = fleet(pool).await;
    beat(&world, &[1, 2, 3], 0).await;
    refresh(&world, 0).await;
    for seconds in [301, 361, 900] {
        assert!(refresh(&world, seconds).await.collection_stopped);
    }
    assert_eq!(statuses(&world).await, ["online", "online", "online"]);
    // It comes back, one server first: the others get their time.
    beat(&world, &[2], 895).await;
    assert_eq!(refresh(&world, 905).await, Refreshed::default());
    world.clock.set(after(1_195));
    beat(&world, &[2, 3], 1_195).await;
    assert_eq!(refresh(&world, 1_195).await, Refreshed::default());
    assert_eq!(refresh(&world, 1_196).await, Refreshed { offline: 1, ..Refreshed::default() });
    let facts = fact_kinds(&world).await;
    assert_eq!(facts[3..], ["CollectionStopped", "CollectionResumed", "NodeServerWentOffline"]);
    let outage: Vec<(DateTime<Utc>, DateTime<Utc>)> =
        sqlx::query_as("select since, until from telecom.collection_outage").fetch_all(&world.pool).await.unwrap();
    assert_eq!(outage, [(after(0), after(895))]);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn jobs_at_once_and_again_say_each_edge_once(pool: PgPool) {
    let world = fleet(pool).await;
    beat(&world, &[1, 2, 3], 0).await;
    world.clock.set(after(1));
    let run = || async { world.cron().process(RefreshServerStatus(Run::default())).await.unwrap() };
    let all = futures::future::join_all((0..8).map(|_| run())).await;
    assert_eq!(all.iter().map(|refreshed| refreshed.online).sum::<usize>(), 3);
    run().await;
    // Nothing could be sent: as after a crash between commit and publishing, the facts wait in the outbox, once each.
    assert_eq!(fact_kinds(&world).await, ["NodeServerCameOnline"; 3]);
    assert_eq!(world.number("select count(*) from telecom.node_status_transition where until is null").await, 3);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_fleet_of_one_has_outages_of_its_own(pool: PgPool) {
    let world = World::new(pool).await;
    beat(&world, &[1], 0).await;
    refresh(&world, 0).await;
    assert_eq!(refresh(&world, 301).await, Refreshed { offline: 1, ..Refreshed::default() });
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_report_from_the_future_keeps_no_server_alive_longer(pool: PgPool) {
    let world = fleet(pool).await;
    beat(&world, &[1], 299).await;
    beat(&world, &[2, 3], 0).await;
    refresh(&world, 0).await;
    world.clock.set(after(301));
    beat(&world, &[2, 3], 301).await;
    assert_eq!(refresh(&world, 301).await.offline, 1);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_status_that_was_changed_past_the_log_does_not_stop_the_job(pool: PgPool) {
    let world = fleet(pool).await;
    beat(&world, &[1, 2, 3], 0).await;
    refresh(&world, 0).await;
    world.sql("update telecom.node_server set status = 'offline' where id = 1").await;
    assert_eq!(refresh(&world, 1).await, Refreshed { online: 1, ..Refreshed::default() });
    assert_eq!(log(&world, 1).await.last().unwrap().0, "online");
}
