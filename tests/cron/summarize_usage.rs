//! Sums of usage per node and per day equal the hourly usage, whatever happens in which order.

use chrono::TimeDelta;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rstest::rstest;
use serde_json::json;
use shared::db::user_usage;
use sqlx::PgPool;
use telecom_tests::api::Api;
use telecom_tests::report::{report_of, texts};
use telecom_tests::{CLIENT, GIB, NOW, SERVER, World, at, user};
use uuid::Uuid;

/// Rows whose sums differ from the hourly usage: of nodes by hour and by day, of all nodes
/// together, and of the days that are summed.
const DIFFERENCES: &str = "
    with node as (
        select bucket_start, node_server_id, node_client_id, raw_upload_bytes up,
            billed_download_bytes down
        from telecom.node_usage_hourly where node_server_id is not null
        union all
        select bucket_start, node_server_id, node_client_id, raw_upload_bytes,
            billed_download_bytes
        from telecom.node_usage_delta
        union all
        select bucket_start, node_server_id, node_client_id, -raw_upload_bytes,
            -billed_download_bytes
        from telecom.user_package_usage
    ), node_day as (
        select day, node_server_id, node_client_id, raw_upload_bytes up, billed_download_bytes down
        from telecom.node_usage_daily
        union all
        select (bucket_start at time zone 'UTC')::date, node_server_id, node_client_id,
            -raw_upload_bytes, -billed_download_bytes
        from telecom.node_usage_hourly where node_server_id is not null
    ), total as (
        select bucket_start, raw_upload_bytes up, billed_download_bytes down
        from telecom.node_usage_hourly where node_server_id is null
        union all
        select bucket_start, raw_upload_bytes, billed_download_bytes from telecom.node_usage_delta
        union all
        select bucket_start, -raw_upload_bytes, -billed_download_bytes
        from telecom.user_package_usage
    ), of_day as (
        select user_id, day, node_client_id, raw_upload_bytes up, billed_download_bytes down
        from telecom.user_usage_daily
        union all
        select user_id, day, node_client_id, raw_upload_bytes, billed_download_bytes
        from telecom.late_user_usage
        where day < (select days_summed_before from telecom.usage_summary)
        union all
        select user_id, (bucket_start at time zone 'UTC')::date, node_client_id,
            -raw_upload_bytes, -billed_download_bytes
        from telecom.user_package_usage
        where bucket_start < (
            select days_summed_before::timestamp at time zone 'UTC' from telecom.usage_summary
        )
    )
    select (select count(*) from (select from node
            group by bucket_start, node_server_id, node_client_id
            having (sum(up), sum(down)) <> (0, 0)) a)
        + (select count(*) from (select from node_day
            group by day, node_server_id, node_client_id
            having (sum(up), sum(down)) <> (0, 0)) d)
        + (select count(*) from (select from total group by bucket_start
            having (sum(up), sum(down)) <> (0, 0)) b)
        + (select count(*) from (select from of_day group by user_id, day, node_client_id
            having (sum(up), sum(down)) <> (0, 0)) c)";

async fn world(pool: PgPool) -> World {
    let world = World::new(pool).await;
    world.server(2, &[(21, "1.5")]).await;
    let package = world.package(GIB, 30).await;
    for n in 1..=2 {
        world.active_item(user(n), package).await;
    }
    world
}

/// Reports usage of users 1 to 3 in the hour that begins `hours` before [`NOW`]'s, and charges it.
async fn charge(world: &World, id: u128, server: i32, hours: i64, bytes: i64) {
    let usage = [
        (user(1), bytes, 2 * bytes),
        (user(2), 3 * bytes, 0),
        (user(3), 1, bytes),
    ];
    let period = at(NOW) - TimeDelta::hours(hours);
    let report = report_of(id, server, period, &usage);
    world.assert_reports_accepted(&texts(&[report])).await;
    world.deliver_all().await;
}

async fn days(world: &World) -> (String, i64, i64) {
    sqlx::query_as(
        "select days_summed_before::text, (select count(*) from telecom.user_usage_daily),
            (select count(*) from telecom.late_user_usage)
        from telecom.usage_summary",
    )
    .fetch_one(&world.pool)
    .await
    .unwrap()
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn usage_charged_after_its_day_was_summed_is_added_to_the_day_once(pool: PgPool) {
    let world = world(pool).await;
    charge(&world, 1, SERVER, 24, 100).await;
    let done = world.summarize().await;
    assert_eq!((done.days, done.late, done.complete), (9, 0, true));
    assert_eq!(days(&world).await, ("2026-03-10".to_owned(), 3, 0));
    charge(&world, 2, SERVER, 24, 1_000).await;
    charge(&world, 3, 2, 30, 10).await;
    assert_eq!(days(&world).await.2, 6);
    assert_eq!(world.number(DIFFERENCES).await, 0);
    let done = world.summarize().await;
    assert_eq!((done.days, done.late, done.complete), (0, 6, true));
    assert_eq!(days(&world).await, ("2026-03-10".to_owned(), 6, 0));
    assert_eq!(world.number(DIFFERENCES).await, 0);
    assert_eq!(world.summarize().await.late, 0);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_day_is_closed_two_hours_after_its_end(pool: PgPool) {
    let world = world(pool).await;
    world.clock.set(at("2026-03-10T01:59:59Z"));
    world.summarize().await;
    assert_eq!(days(&world).await.0, "2026-03-09");
    world.clock.set(at("2026-03-10T02:00:00Z"));
    world.summarize().await;
    assert_eq!(days(&world).await.0, "2026-03-10");
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_day_is_closed_only_when_charges_that_count_on_it_are_committed(pool: PgPool) {
    let world = world(pool).await;
    let mut charging = world.pool.begin().await.unwrap();
    let closed_before = user_usage::closed_before(&mut charging).await.unwrap();
    assert_eq!(closed_before, at("2026-03-01T00:00:00Z").date_naive());
    let done = world.summarize().await;
    assert_eq!((done.days, done.complete), (0, true));
    charging.commit().await.unwrap();
    assert_eq!(world.summarize().await.days, 9);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn two_runs_at_once_count_usage_once(pool: PgPool) {
    let world = world(pool).await;
    for id in 1..=5 {
        charge(&world, id, 2, 20 * i64::try_from(id).unwrap(), 100).await;
    }
    for _ in 0..5 {
        tokio::join!(world.summarize(), world.summarize(), world.summarize());
        charge(&world, Uuid::new_v4().as_u128(), 2, 100, 7).await;
    }
    assert_eq!(world.number(DIFFERENCES).await, 0);
}

#[rstest]
#[case(1)]
#[case(2)]
#[case(3)]
#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn sums_equal_hourly_usage_in_any_order_of_charges_and_runs(
    #[ignore] pool: PgPool,
    #[case] seed: u64,
) {
    let world = world(pool).await;
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    for step in 0..30_u128 {
        let now = world.context().now();
        match rng.random_range(0..4) {
            0 => {
                world.summarize().await;
            }
            1 => {
                let later = now + TimeDelta::hours(rng.random_range(1..8));
                world.clock.set(later.min(at("2026-03-11T23:30:00Z")));
            }
            _ => {
                let hour = (at(NOW) - now).num_hours() + rng.random_range(1..70);
                let server = [SERVER, 2][rng.random_range(0..2)];
                charge(&world, step + 1, server, hour, rng.random_range(0..1_000)).await;
            }
        }
        assert_eq!(world.number(DIFFERENCES).await, 0, "step {step}");
    }
    world.summarize().await;
    assert_eq!(world.number(DIFFERENCES).await, 0);
    assert_eq!(world.reconcile().await.drifts, 0);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn top_users_are_found_again_when_the_last_time_allows_it(pool: PgPool) {
    let world = world(pool).await;
    charge(&world, 1, SERVER, 1, 100).await;
    assert_eq!(world.summarize().await.ranges, 3);
    world
        .sql("update telecom.top_user_refresh set seconds = 0.6 where range = 'month'")
        .await;
    world.clock.set(at(NOW) + TimeDelta::minutes(1));
    assert_eq!(world.summarize().await.ranges, 3);
    world
        .sql("update telecom.top_user_refresh set seconds = 0.7 where range = 'month'")
        .await;
    world.clock.set(at(NOW) + TimeDelta::minutes(2));
    assert_eq!(world.summarize().await.ranges, 2);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn users_and_nodes_with_the_most_traffic_are_listed_first(pool: PgPool) {
    let world = world(pool).await;
    let api = Api::over_http(world.clone());
    let admin = api.issuer.admin();
    let (status, before) = api.get("/v1/admin/top-users", "", Some(&admin)).await;
    assert_eq!((status, &before["as_of"]), (200, &json!(null)));
    charge(&world, 1, SERVER, 0, 100).await;
    charge(&world, 2, 2, 0, 1).await;
    world.summarize().await;
    let (_, users) = api
        .get("/v1/admin/top-users", "by=raw&limit=2", Some(&admin))
        .await;
    let of = |list: &serde_json::Value, key: &str| -> Vec<serde_json::Value> {
        let items = list.as_array().unwrap().iter();
        items.map(|item| item[key].clone()).collect()
    };
    assert_eq!(
        of(&users["users"], "user"),
        [json!(user(1)), json!(user(2))]
    );
    assert_eq!(users["total"], 3);
    let (_, nodes) = api
        .get("/v1/admin/top-nodes", "range=month", Some(&admin))
        .await;
    assert_eq!(
        of(&nodes["nodes"], "node_client_id"),
        [json!(CLIENT), json!(21)]
    );
    assert_eq!(of(&nodes["nodes"], "name"), [json!("c11"), json!("c21")]);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn nodes_of_a_user_have_the_traffic_of_the_user(pool: PgPool) {
    let world = world(pool).await;
    let api = Api::over_http(world.clone());
    let admin = api.issuer.admin();
    // Of yesterday before and after the day is summed, and of today.
    charge(&world, 1, SERVER, 24, 100).await;
    world.summarize().await;
    charge(&world, 2, 2, 24, 10).await;
    charge(&world, 3, SERVER, 0, 1).await;
    for late in [3, 0] {
        assert_eq!(days(&world).await.2, late);
        let query = format!("range=year&user={}", user(2));
        let (status, top) = api.get("/v1/admin/top-nodes", &query, Some(&admin)).await;
        assert_eq!(status, 200, "{top}");
        let nodes = top["nodes"].as_array().unwrap();
        let uploads: Vec<_> = nodes.iter().map(|node| &node["raw_upload"]).collect();
        assert_eq!(uploads, [303, 30]);
        let billed = nodes
            .iter()
            .map(|node| node["billed_upload"].as_i64().unwrap());
        let billed: i64 = billed.sum();
        let query = format!("interval=day&start=2026-03-01T00:00:00Z&user={}", user(2));
        let (_, usage) = api
            .get("/v1/admin/traffic-usage", &query, Some(&admin))
            .await;
        assert_eq!(usage["sum"]["billed_upload"], billed);
        world.summarize().await;
    }
}
