//! The version of a list of users changes whenever the list does, whatever changes the list.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use chrono::TimeDelta;
use futures::future::join_all;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rstest::rstest;
use shared::db::node_user::rotate_secret;
use shared::db::user_list::{self, ListedUser, fold_changes};
use shared::db::{self, Connection};
use sqlx::{Connection as _, PgConnection, PgPool};
use telecom_tests::{CLIENT, GIB, NOW, World, at, user};

const ROWS: &str = "select count(*) from telecom.user_list_change";

/// Random changes. Rows that another transaction has locked are skipped, so that no transaction
/// waits for another for long. Each item has an owner of its own.
const CHANGES: [&str; 8] = [
    "insert into telecom.package_queue (user_id, package_id)
        select gen_random_uuid(), id from telecom.package, generate_series(1, 3)",
    "update telecom.package_queue set status = 'active', activated_at = now(),
            expires_at = '2027-01-01Z'
        where id = any(array(select id from telecom.package_queue where status = 'in_queue'
            order by random() limit 3 for update skip locked))",
    "update telecom.package_queue set status = 'consumed', end_reason = 'time', ended_at = now()
        where id = any(array(select id from telecom.package_queue where status = 'active'
            order by random() limit 2 for update skip locked))",
    "update telecom.package_queue set adjust_quota_bytes =
            case when expiring_event_at is null then -2000000000 else 0 end
        where id = any(array(select id from telecom.package_queue where status = 'active'
            order by random() limit 2 for update skip locked))",
    "update telecom.package_queue set upload_bytes = upload_bytes + 1, expiring_event_at =
            case when expiring_event_at is null then now() end
        where id = any(array(select id from telecom.package_queue where status = 'active'
            order by random() limit 2 for update skip locked))",
    "update telecom.node_user set secret = gen_random_uuid()
        where user_id = any(array(select user_id from telecom.node_user
            order by random() limit 1 for update skip locked))",
    "update telecom.package set max_client_number = 1 + max_client_number % 5
        where id = any(array(select id from telecom.package
            order by random() limit 1 for update skip locked))",
    "delete from telecom.package_queue
        where id = any(array(select id from telecom.package_queue
            order by random() limit 1 for update skip locked))",
];

/// A world with packages of two groups, and a client that one of them opens.
async fn world(pool: PgPool) -> World {
    let world = World::new(pool).await;
    for _ in 0..3 {
        world.package(GIB, 30).await;
    }
    world
        .sql("update telecom.package set available_group = 2 where id = 3")
        .await;
    let open =
        format!("update telecom.node_client set access_groups = '{{1}}' where id = {CLIENT}");
    world.sql(&open).await;
    world
}

/// The version of the client's list, and the list in the same snapshot.
async fn observe(world: &World) -> ((i64, i64), Vec<ListedUser>) {
    let now = world.context().now();
    db::read_tx(&world.node, async |tx| {
        let node = user_list::node(tx, CLIENT, now).await?.unwrap();
        let users = user_list::users(tx, &node.access_groups, now).await?;
        Ok(((node.changes, node.overdue), users))
    })
    .await
    .unwrap()
}

async fn change(world: &World, seed: u8) {
    let mut random = ChaCha8Rng::from_seed([seed; 32]);
    let options = world.pool.connect_options();
    let mut connection = PgConnection::connect_with(options.as_ref()).await.unwrap();
    for _ in 0..60 {
        let mut tx = connection.begin().await.unwrap();
        for _ in 0..random.random_range(1..4) {
            let change = CHANGES.choose(&mut random).unwrap();
            sqlx::query(change).execute(&mut *tx).await.unwrap();
        }
        if random.random_ratio(1, 5) {
            tx.rollback().await.unwrap();
        } else {
            tx.commit().await.unwrap();
        }
    }
}

async fn fold_until(world: &World, done: &AtomicBool) -> i64 {
    let mut connection = world.writer.acquire().await.unwrap();
    let mut fewer = 0;
    while !done.load(Ordering::Relaxed) {
        fewer += fold_changes(&mut connection, 20).await.unwrap();
    }
    fewer
}

/// Observes the list until `done`. Two lists with the same version must be equal. Returns the
/// number of versions.
async fn check_until(world: &World, done: &AtomicBool) -> usize {
    let mut seen = BTreeMap::new();
    while !done.load(Ordering::Relaxed) {
        let (version, list) = observe(world).await;
        let known = seen.entry(version).or_insert_with(|| list.clone());
        assert_eq!(*known, list, "two lists with the version {version:?}");
    }
    seen.len()
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn lists_with_the_same_version_are_equal_at_every_instant(pool: PgPool) {
    let world = world(pool).await;
    let done = AtomicBool::new(false);
    let changes = async {
        // Changes of packages and of their items lock both, in any order.
        for seed in 0..3 {
            change(&world, seed).await;
        }
        done.store(true, Ordering::Relaxed);
    };
    let ((), folded, versions) = tokio::join!(
        changes,
        fold_until(&world, &done),
        check_until(&world, &done)
    );
    assert!(folded > 0 && versions > 20, "{folded}, {versions}");
}

/// Activates the item of a user while the user's secret changes, in two transactions that end in
/// either order.
#[rstest]
#[case::activation_first(true)]
#[case::rotation_first(false)]
#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_secret_that_changes_during_the_activation_of_an_item_changes_the_version(
    #[ignore] pool: PgPool,
    #[case] activation_first: bool,
) {
    let world = world(pool).await;
    let item = world.waiting_item(user(1), 1).await;
    let activate = format!(
        "update telecom.package_queue set status = 'active', activated_at = now(),
            expires_at = '2027-01-01Z' where id = {item}"
    );
    let rotate = async |connection: &mut Connection| {
        rotate_secret(connection, user(1), at(NOW)).await.unwrap()
    };
    let (mut one, mut other) = (
        world.pool.begin().await.unwrap(),
        world.pool.begin().await.unwrap(),
    );
    let secret = if activation_first {
        sqlx::query(&activate).execute(&mut *one).await.unwrap();
        let (secret, ()) = tokio::join!(rotate(&mut other), async {
            one.commit().await.unwrap();
        });
        let (version, list) = observe(&world).await;
        assert_ne!(
            list[0].secret, secret.secret,
            "the rotation is not committed"
        );
        other.commit().await.unwrap();
        assert_ne!(observe(&world).await.0, version);
        secret
    } else {
        let secret = rotate(&mut one).await;
        let activation = sqlx::query(&activate).execute(&mut *other);
        let (activated, ()) = tokio::join!(activation, async {
            one.commit().await.unwrap();
        });
        activated.unwrap();
        let (version, list) = observe(&world).await;
        assert_eq!(list, []);
        other.commit().await.unwrap();
        assert_ne!(observe(&world).await.0, version);
        secret
    };
    assert_eq!(observe(&world).await.1[0].secret, secret.secret);
}

#[rstest]
#[case::charge("update telecom.package_queue set upload_bytes = upload_bytes + 1", 0)]
#[case::same_status("update telecom.package_queue set status = status", 0)]
#[case::longer("update telecom.package_queue set expires_at = '2028-01-01Z'", 0)]
#[case::waiting(
    "insert into telecom.package_queue (user_id, package_id)
    values (gen_random_uuid(), 1)",
    0
)]
#[case::another_group("update telecom.package set max_client_number = 9 where id = 3", 2)]
#[case::exhausted(
    "update telecom.package_queue set adjust_quota_bytes = -2000000000
    where status = 'active'",
    1
)]
#[case::truncate("truncate telecom.package_queue", 2)]
#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn only_what_changes_a_list_is_counted(
    #[ignore] pool: PgPool,
    #[case] sql: &str,
    #[case] changes: i64,
) {
    let world = world(pool).await;
    world.active_item(user(1), 1).await;
    let before = world
        .number("select sum(changes)::bigint from telecom.user_list_change")
        .await;
    world.sql(sql).await;
    let after = world
        .number("select sum(changes)::bigint from telecom.user_list_change")
        .await;
    assert_eq!(after - before, changes);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_charge_that_exhausts_no_item_calls_no_trigger_of_lists(pool: PgPool) {
    let world = world(pool).await;
    world.active_item(user(1), 1).await;
    world
        .sql(
            "create or replace function telecom.count_user_list_changes() returns trigger
            language plpgsql as $$ begin raise 'the trigger was called'; end $$",
        )
        .await;
    world
        .sql("update telecom.package_queue set upload_bytes = 5, expiring_event_at = null")
        .await;
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn an_item_that_no_job_ends_is_off_the_list_after_two_minutes(pool: PgPool) {
    let world = world(pool).await;
    world.active_item(user(1), 1).await;
    let (version, list) = observe(&world).await;
    assert_eq!(list.len(), 1);
    let end = at(NOW) + TimeDelta::days(30);
    world
        .clock
        .set(end + TimeDelta::minutes(2) - TimeDelta::microseconds(1));
    assert_eq!(observe(&world).await, (version, list));
    world.clock.set(end + TimeDelta::minutes(2));
    let (later, list) = observe(&world).await;
    assert_ne!(later, version);
    assert_eq!(list, []);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn lists_without_different_overdue_items_have_different_versions(pool: PgPool) {
    let world = world(pool).await;
    let items = [1, 2].map(|n| (n, world.active_item(user(n), 1)));
    let mut ids = Vec::new();
    for (_, item) in items {
        ids.push(item.await);
    }
    let overdue = async |overdue: i64| {
        // Extended items leave no trace in the changes.
        world
            .sql(&format!(
                "update telecom.package_queue set expires_at = case when id = {overdue}
                    then timestamptz '2026-03-10 10:28Z' else '2027-01-01Z' end"
            ))
            .await;
        observe(&world).await
    };
    let (first, second) = (overdue(ids[0]).await, overdue(ids[1]).await);
    assert_eq!((first.1.len(), second.1.len()), (1, 1));
    assert_ne!(first.1, second.1);
    assert_ne!(first.0, second.0);
    assert_eq!(overdue(ids[0]).await, first);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_user_gets_a_number_and_a_random_secret_with_the_first_item(pool: PgPool) {
    let world = world(pool).await;
    world.waiting_item(user(1), 1).await;
    let read = "select number, secret::text from telecom.node_user where user_id = $1";
    let read = async |n| -> (i32, String) {
        sqlx::query_as(read)
            .bind(user(n))
            .fetch_one(&world.pool)
            .await
            .unwrap()
    };
    let first = read(1).await;
    // The third group of a random UUID begins with its version.
    assert_eq!(&first.1[14..15], "4");
    world.waiting_item(user(1), 1).await;
    world.waiting_item(user(2), 1).await;
    world.sql("delete from telecom.package_queue").await;
    assert_eq!(read(1).await, first, "the number and the secret stay");
    assert_eq!(read(2).await.0, first.0 + 1, "no number is skipped");
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn concurrent_first_items_of_the_same_users_give_each_one_number(pool: PgPool) {
    let world = world(pool).await;
    let deliver = |_| async {
        world
            .sql(
                "insert into telecom.package_queue (user_id, package_id)
                select md5(n::text)::uuid, 1 from generate_series(1, 50) n order by random()",
            )
            .await;
    };
    join_all((0..4).map(deliver)).await;
    assert_eq!(
        world.number("select count(*) from telecom.node_user").await,
        50
    );
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn folded_changes_leave_one_row_per_group(pool: PgPool) {
    let world = world(pool).await;
    for n in 0..5 {
        world
            .active_item(user(n), 1 + i64::try_from(n % 3).unwrap())
            .await;
    }
    let (version, _) = observe(&world).await;
    let mut connection = world.writer.acquire().await.unwrap();
    while fold_changes(&mut connection, 2).await.unwrap() > 0 {}
    assert_eq!(world.number(ROWS).await, 2);
    assert_eq!(observe(&world).await.0, version);
}
