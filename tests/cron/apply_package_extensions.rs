//! A requested extension adds its hours once to each item that was active at the request and still
//! is, wherever a run of the job ends.

use std::time::Duration;

use chrono::TimeDelta;
use serde_json::{Value, json};
use shared::config::TelecomConfig;
use shared::services::Processor;
use shared::services::change::Requested;
use shared::services::cron::Run;
use shared::services::cron::apply_package_extensions::{
    ApplyPackageExtensionsJob, BATCH, Extended,
};
use shared::services::cron::expire_packages::{Expired, PackageExpiringJob};
use shared::services::manage::{ExtendPackages, ManageService};
use sqlx::PgPool;
use telecom_tests::{GIB, NOW, SERVER, World, actor, at, deliver, failures, user};
use uuid::Uuid;

/// Requests an extension of all items of the access group of [`World::package`].
async fn request(world: &World, hours: i32) -> Uuid {
    let service = ManageService::new(world.api.clone(), world.context(), TelecomConfig::default());
    let extension = ExtendPackages {
        available_group: Some(1),
        series: None,
        hours,
        reason: "outage".to_owned(),
        dry_run: false,
    };
    let requested = service.process(Requested::by(actor(1), extension)).await;
    requested.unwrap().extension_id.unwrap()
}

async fn run(world: &World) -> Extended {
    let job = ApplyPackageExtensionsJob(Run::default());
    world.cron().process(job).await.unwrap()
}

async fn expire(world: &World) -> Expired {
    let job = PackageExpiringJob(Run::default());
    world.cron().process(job).await.unwrap()
}

/// Gives users 1 to `count` an active item each.
async fn active_items(world: &World, count: i64) {
    let package = world.package(GIB, 30).await;
    let items = "insert into telecom.package_queue (user_id, package_id, status, activated_at,
            expires_at)
        select ('0fff0000-0000-0000-0000-' || lpad(to_hex(n), 12, '0'))::uuid, $1, 'active', $2,
            $2 + interval '30 days'
        from generate_series(1, $3) n";
    sqlx::query(items)
        .bind(package)
        .bind(at(NOW))
        .bind(count)
        .execute(&world.pool)
        .await
        .unwrap();
}

/// The number of items by the seconds that were added to them, from the fewest seconds.
async fn items_by_seconds(world: &World) -> Vec<(i64, i64)> {
    let counts = "select extended_seconds, count(*) from telecom.package_queue
        where expires_at = activated_at + interval '30 days'
            + make_interval(secs => extended_seconds)
        group by 1 order by 1";
    sqlx::query_as(counts).fetch_all(&world.pool).await.unwrap()
}

/// Charges a byte to each of the users.
async fn charge(world: &World, users: impl Iterator<Item = u128>) {
    let event = |number| {
        json!({ "event_id": Uuid::new_v4(), "server_id": SERVER, "user": user(number),
            "billed_upload": 1, "billed_download": 0, "time": at(NOW).timestamp() })
        .to_string()
    };
    let events: Vec<String> = users.map(event).collect();
    assert!(failures(&deliver(&world.hook(), &events).await).is_empty());
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn items_that_were_active_at_the_request_get_the_hours(pool: PgPool) {
    let world = World::new(pool).await;
    let package = world.package(GIB, 30).await;
    let next_version = world.package(GIB, 30).await;
    let of_other_group = world.package(GIB, 30).await;
    world
        .sql(&format!(
            "update telecom.package set available_group = 2 where id = {of_other_group}"
        ))
        .await;
    world.active_item(user(1), package).await;
    world.waiting_item(user(1), package).await;
    world.active_item(user(2), next_version).await;
    world.active_item(user(3), of_other_group).await;
    request(&world, 24).await;
    world.clock.set(at(NOW) + TimeDelta::seconds(1));
    world.active_item(user(4), package).await;
    let extended = Extended {
        items: 2,
        extensions: 1,
        complete: true,
    };
    assert_eq!(run(&world).await, extended);
    let added: Vec<(Uuid, i64)> = sqlx::query_as(
        "select user_id, extended_seconds from telecom.package_queue order by user_id, id",
    )
    .fetch_all(&world.pool)
    .await
    .unwrap();
    let day = 86_400;
    let expected = [
        (user(1), day),
        (user(1), 0),
        (user(2), day),
        (user(3), 0),
        (user(4), 0),
    ];
    assert_eq!(added, expected);
    assert_eq!(items_by_seconds(&world).await, [(0, 2), (day, 2)]);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn concurrent_and_repeated_runs_extend_each_item_once(pool: PgPool) {
    let world = World::new(pool).await;
    let count = BATCH * 2 + 500;
    active_items(&world, count).await;
    request(&world, 1).await;
    request(&world, 2).await;
    let (a, b) = tokio::join!(run(&world), run(&world));
    let last = run(&world).await;
    assert!(last.complete);
    assert_eq!(a.items + b.items + last.items, count * 2);
    assert_eq!(run(&world).await.items, 0);
    assert_eq!(items_by_seconds(&world).await, [(3 * 3600, count)]);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_run_that_ends_within_a_step_skips_and_repeats_no_item(pool: PgPool) {
    let world = World::new(pool).await;
    let count = BATCH * 2 + 500;
    active_items(&world, count).await;
    request(&world, 1).await;
    let kill = format!(
        "create function public.kill() returns trigger language plpgsql as $$
            begin raise exception 'killed'; end $$;
        create trigger kill before update on telecom.package_extension for each row
            when (new.extended_count > {BATCH}) execute function public.kill()"
    );
    sqlx::raw_sql(&kill).execute(&world.pool).await.unwrap();
    let job = ApplyPackageExtensionsJob(Run::default());
    assert!(world.cron().process(job).await.is_err());
    let done = [(0, count - BATCH), (3600, BATCH)];
    assert_eq!(items_by_seconds(&world).await, done);
    world
        .sql("drop trigger kill on telecom.package_extension")
        .await;
    assert_eq!(run(&world).await.items, count - BATCH);
    assert_eq!(items_by_seconds(&world).await, [(3600, count)]);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn no_step_is_started_near_the_deadline(pool: PgPool) {
    let world = World::new(pool).await;
    active_items(&world, 1).await;
    request(&world, 1).await;
    let near = ApplyPackageExtensionsJob(Run::within(Some(Duration::ZERO)));
    assert_eq!(
        world.cron().process(near).await.unwrap(),
        Extended::default()
    );
    assert_eq!(run(&world).await.items, 1);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_locked_item_stops_the_run_and_no_charge(pool: PgPool) {
    let world = World::new(pool).await;
    let count = BATCH + 10;
    active_items(&world, count).await;
    request(&world, 1).await;
    let mut held = world.pool.begin().await.unwrap();
    sqlx::query("select from telecom.package_queue where user_id = $1 for update")
        .bind(user(u128::try_from(count).unwrap()))
        .execute(&mut *held)
        .await
        .unwrap();
    let stopped = Extended {
        items: BATCH,
        ..Extended::default()
    };
    assert_eq!(run(&world).await, stopped);
    // The locks of the step that failed, too, are released.
    charge(&world, [1, 2_001].into_iter()).await;
    held.rollback().await.unwrap();
    assert_eq!(run(&world).await.items, 10);
    assert_eq!(items_by_seconds(&world).await, [(3600, count)]);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn charges_during_the_steps_are_complete(pool: PgPool) {
    let world = World::new(pool).await;
    let count = BATCH * 3;
    active_items(&world, count).await;
    request(&world, 1).await;
    let charges = async {
        for first in 1..=20 {
            let users = (first..=u128::try_from(count).unwrap()).step_by(20);
            charge(&world, users).await;
        }
    };
    let (extended, ()) = tokio::join!(run(&world), charges);
    assert_eq!((extended.items, extended.complete), (count, true));
    assert_eq!(items_by_seconds(&world).await, [(3600, count)]);
    let charged = "select sum(upload_bytes)::bigint from telecom.package_queue";
    assert_eq!(world.number(charged).await, count);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn an_extended_item_expires_at_its_new_time(pool: PgPool) {
    let world = World::new(pool).await;
    active_items(&world, 1).await;
    world.clock.set(at("2026-04-09T10:00:00Z"));
    request(&world, 24).await;
    run(&world).await;
    world.clock.set(at("2026-04-10T10:29:59.999999Z"));
    assert_eq!(
        expire(&world).await,
        Expired {
            noticed: 1,
            complete: true,
            ..Expired::default()
        }
    );
    world.clock.set(at("2026-04-10T10:30:00Z"));
    assert_eq!(expire(&world).await.expiring, 1);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn an_item_that_was_announced_as_expiring_is_extended(pool: PgPool) {
    let world = World::new(pool).await;
    active_items(&world, 1).await;
    world.clock.set(at("2026-04-09T10:30:00Z"));
    request(&world, 1).await;
    assert_eq!(expire(&world).await.expiring, 1);
    assert_eq!(run(&world).await.items, 1);
    // Neither the event nor the next run of the job ends the item.
    let events = world.take_outbox("package_expiring").await;
    assert!(failures(&deliver(&world.expiring(), &events).await).is_empty());
    assert_eq!(expire(&world).await.consumed, 0);
    assert_eq!(world.item_statuses(user(1)).await, ["active"]);
    world.clock.set(at("2026-04-09T11:30:00Z"));
    assert_eq!(expire(&world).await.expiring, 1);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn an_item_that_ended_before_its_step_stays_ended(pool: PgPool) {
    let world = World::new(pool).await;
    active_items(&world, 2).await;
    world.clock.set(at("2026-04-09T10:29:59Z"));
    let extension = request(&world, 24).await;
    sqlx::query("update telecom.package_queue set expires_at = $2 where user_id <> $1")
        .bind(user(1))
        .bind(at("2026-05-09T10:30:00Z"))
        .execute(&world.pool)
        .await
        .unwrap();
    world.clock.set(at("2026-04-09T10:30:00Z"));
    expire(&world).await;
    assert_eq!(expire(&world).await.consumed, 1);
    assert_eq!(run(&world).await.items, 1);
    assert_eq!(world.item_statuses(user(1)).await, ["consumed"]);
    assert_eq!(items_by_seconds(&world).await, [(0, 1)]);
    // The second audit entry says how many of the two items were extended.
    let entry: Value = sqlx::query_scalar(
        "select jsonb_build_array(actor_user_id, action, target_id, before, after)
        from telecom.audit_entry order by id desc limit 1",
    )
    .fetch_one(&world.pool)
    .await
    .unwrap();
    let before = json!({ "completed_at": null, "extended": 0 });
    let after = json!({ "completed_at": "2026-04-09T10:30:00Z", "extended": 1 });
    assert_eq!(
        entry,
        json!([user(1), "ExtendPackages", extension, before, after])
    );
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn an_item_at_the_limit_of_extensions_holds_up_no_other(pool: PgPool) {
    let world = World::new(pool).await;
    active_items(&world, 3).await;
    for (number, change) in [
        (1, "extended_seconds = 3155760000"),
        (2, "expires_at = '9999-12-31Z'"),
    ] {
        let user = user(number);
        let change = format!("update telecom.package_queue set {change} where user_id = '{user}'");
        world.sql(&change).await;
    }
    request(&world, 1).await;
    let extended = run(&world).await;
    assert_eq!((extended.items, extended.complete), (1, true));
    assert_eq!(items_by_seconds(&world).await, [(3600, 1)]);
}
