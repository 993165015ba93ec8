//! The stored counts of items equal the items at every instant, whatever changes the items.

use std::sync::atomic::{AtomicBool, Ordering};

use futures::future::join_all;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rstest::rstest;
use serde_json::json;
use shared::db::queued_package::fold_counts;
use shared::db::{self, MIGRATOR};
use sqlx::migrate::Migrator;
use sqlx::{Connection, PgConnection, PgPool};
use telecom_tests::{GIB, NOW, SERVER, World, at, deliver, failures, remove_schema, until, user};
use uuid::Uuid;

/// Number of packages and statuses whose stored count differs from the items, in one snapshot.
const DIFFERENCES: &str = "select count(*) from (
        select package_id, status, count(*) as items from telecom.package_queue group by 1, 2
    ) as items full join (
        select package_id, status, sum(items) as items from telecom.package_queue_count
        group by 1, 2 having sum(items) <> 0
    ) as counts using (package_id, status)
    where items.items is distinct from counts.items";
const ROWS: &str = "select count(*) from telecom.package_queue_count";
const KEYS: &str = "select count(distinct (package_id, status)) from telecom.package_queue";

/// Random changes. Rows that another transaction has locked are skipped, so that no transaction
/// waits for another. Each item has an owner of its own.
const CHANGES: [&str; 8] = [
    "insert into telecom.package_queue (user_id, package_id)
        select gen_random_uuid(), id from telecom.package, generate_series(1, 5)",
    "update telecom.package_queue set status = 'active', activated_at = now(), expires_at = now()
        where id = any(array(select id from telecom.package_queue where status = 'in_queue'
            order by random() limit 6 for update skip locked))",
    "update telecom.package_queue set status = 'consumed', end_reason = 'time', ended_at = now()
        where id = any(array(select id from telecom.package_queue where status = 'active'
            order by random() limit 4 for update skip locked))",
    "update telecom.package_queue set status = 'cancelled', end_reason = 'cancelled',
            ended_at = now()
        where id = any(array(select id from telecom.package_queue
            where status in ('in_queue', 'active')
            order by random() limit 2 for update skip locked))",
    "update telecom.package_queue set package_id = 1 + package_id % 3
        where id = any(array(select id from telecom.package_queue
            order by random() limit 5 for update skip locked))",
    "update telecom.package_queue set package_id = 1 + package_id % 3, status = 'active',
            activated_at = now(), expires_at = now()
        where id = any(array(select id from telecom.package_queue where status = 'in_queue'
            order by random() limit 3 for update skip locked))",
    "update telecom.package_queue set upload_bytes = upload_bytes + 1, status = status
        where id = any(array(select id from telecom.package_queue
            order by random() limit 9 for update skip locked))",
    "delete from telecom.package_queue
        where id = any(array(select id from telecom.package_queue
            order by random() limit 3 for update skip locked))",
];

async fn connection(world: &World) -> PgConnection {
    PgConnection::connect_with(world.pool.connect_options().as_ref())
        .await
        .unwrap()
}

/// Runs 60 transactions of random changes. One in four is rolled back, and so is one change in
/// four of the others.
async fn change(world: &World, seed: u8) {
    let mut random = ChaCha8Rng::from_seed([seed; 32]);
    let mut connection = connection(world).await;
    for _ in 0..60 {
        let mut tx = connection.begin().await.unwrap();
        for _ in 0..random.random_range(1..5) {
            let mut part = tx.begin().await.unwrap();
            let change = CHANGES.choose(&mut random).unwrap();
            sqlx::query(change).execute(&mut *part).await.unwrap();
            if random.random_ratio(1, 4) {
                part.rollback().await.unwrap();
            } else {
                part.commit().await.unwrap();
            }
        }
        if random.random_ratio(1, 4) {
            tx.rollback().await.unwrap();
        } else {
            tx.commit().await.unwrap();
        }
    }
}

/// Folds a few rows at a time until `done`. Returns by how many rows the table became smaller.
async fn fold_until(world: &World, done: &AtomicBool) -> i64 {
    let mut connection = world.writer.acquire().await.unwrap();
    let mut fewer = 0;
    while !done.load(Ordering::Relaxed) {
        fewer += fold_counts(&mut connection, 20).await.unwrap();
    }
    fewer
}

/// Compares the counts with the items until `done`. Returns how often.
async fn check_until(world: &World, done: &AtomicBool) -> usize {
    let mut checks = 0;
    while !done.load(Ordering::Relaxed) {
        assert_eq!(world.number(DIFFERENCES).await, 0);
        checks += 1;
    }
    checks
}

async fn fold_all(world: &World) {
    let mut connection = world.writer.acquire().await.unwrap();
    while fold_counts(&mut connection, 1_000).await.unwrap() > 0 {}
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn counts_equal_the_items_at_every_instant_of_changes_and_folds(pool: PgPool) {
    let world = World::new(pool).await;
    for _ in 0..3 {
        world.package(GIB, 30).await;
    }
    let done = AtomicBool::new(false);
    let changes = async {
        join_all((0..4).map(|seed| change(&world, seed))).await;
        done.store(true, Ordering::Relaxed);
    };
    let ((), a, b, checks) = tokio::join!(
        changes,
        fold_until(&world, &done),
        fold_until(&world, &done),
        check_until(&world, &done)
    );
    assert!(a > 0 && b > 0 && checks > 0, "{a}, {b}, {checks}");
    fold_all(&world).await;
    assert_eq!(world.number(DIFFERENCES).await, 0);
    assert_eq!(world.number(ROWS).await, world.number(KEYS).await);
}

#[rstest]
#[case::insert(
    "insert into telecom.package_queue (user_id, package_id) select gen_random_uuid(), 1
    from generate_series(1, 100)",
    1
)]
#[case::insert_that_updates(
    "insert into telecom.package_queue (id, user_id, package_id)
    select id, user_id, 2 from telecom.package_queue
    union all select 1000, gen_random_uuid(), 2
    on conflict (id) do update set package_id = 2",
    9
)]
#[case::merge(
    "merge into telecom.package_queue q using generate_series(1, 5) n on q.id = n
    when matched and n = 1 then delete
    when matched then update set package_id = 2
    when not matched then insert (user_id, package_id) values (gen_random_uuid(), 2)",
    8
)]
#[case::delete("delete from telecom.package_queue", 1)]
#[case::truncate("truncate telecom.package_queue", -1)]
#[case::charge("update telecom.package_queue set upload_bytes = upload_bytes + 1", 0)]
#[case::same_status("update telecom.package_queue set status = status", 0)]
#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn every_statement_that_changes_items_is_counted(
    #[ignore] pool: PgPool,
    #[case] sql: &str,
    #[case] new_rows: i64,
) {
    let world = World::new(pool).await;
    world.package(GIB, 30).await;
    world.package(GIB, 30).await;
    world
        .sql(
            "insert into telecom.package_queue (user_id, package_id) select gen_random_uuid(), 1
            from generate_series(1, 4)",
        )
        .await;
    assert_eq!(world.number(ROWS).await, 1);
    world.sql(sql).await;
    assert_eq!(world.number(DIFFERENCES).await, 0);
    assert_eq!(world.number(ROWS).await, 1 + new_rows);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn apply_charges_active_items_without_a_row_of_counts(pool: PgPool) {
    let world = World::new(pool).await;
    let package = world.package(GIB, 30).await;
    for n in 0..10 {
        world.active_item(user(n), package).await;
    }
    // A call of the trigger would fail the charge.
    world
        .sql(
            "create or replace function telecom.count_package_items() returns trigger
            language plpgsql as $$ begin raise 'the trigger was called'; end $$",
        )
        .await;
    let event = |n| {
        json!({
            "server_id": SERVER, "user": user(n), "billed_upload": 1, "billed_download": 2,
            "time": at(NOW).timestamp()
        })
    };
    let batch = json!({
        "batch_id": Uuid::from_u128(1), "events": (0..10).map(event).collect::<Vec<_>>()
    });
    assert!(failures(&deliver(&world.hook(), &[batch.to_string()]).await).is_empty());
    assert_eq!(world.items(user(9)).await, [("active".to_owned(), 1, 2)]);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn role_without_privileges_on_the_counts_changes_items(pool: PgPool) {
    let world = World::new(pool).await;
    world
        .waiting_item(user(1), world.package(GIB, 30).await)
        .await;
    // As after a rollback, when the previous version has set the privileges that it knows.
    world
        .sql("revoke all on telecom.package_queue_count from telecom_writer, telecom_api")
        .await;
    for (role, change) in [
        (
            &world.api,
            "insert into telecom.package_queue (user_id, package_id)
            select user_id, package_id from telecom.package_queue",
        ),
        (
            &world.writer,
            "update telecom.package_queue
            set status = 'cancelled', end_reason = 'cancelled', ended_at = now()",
        ),
    ] {
        sqlx::query(change).execute(role).await.unwrap();
        assert_eq!(world.number(DIFFERENCES).await, 0);
    }
}

#[sqlx::test(migrations = false)]
async fn items_written_while_the_migration_waits_are_counted(pool: PgPool) {
    const VERSION: i64 = 20_261_129_000_006;
    remove_schema(&pool).await;
    let before = Migrator {
        migrations: MIGRATOR
            .iter()
            .filter(|migration| migration.version < VERSION)
            .cloned()
            .collect::<Vec<_>>()
            .into(),
        ..Migrator::DEFAULT
    };
    before.run(&pool).await.unwrap();
    let world = World {
        pool,
        ..World::offline()
    };
    world.package(GIB, 30).await;
    let insert = "insert into telecom.package_queue (user_id, package_id)
        values (gen_random_uuid(), 1)";
    world.sql(insert).await;
    let mut writer = world.pool.begin().await.unwrap();
    sqlx::query(insert).execute(&mut *writer).await.unwrap();
    let commit = async {
        until("the migration waits for the writer", async || {
            world
                .number(
                    "select count(*) from pg_locks l join pg_database d on d.oid = l.database
                    where not granted and datname = current_database()",
                )
                .await
                > 0
        })
        .await;
        writer.commit().await.unwrap();
    };
    let migrate = async {
        let mut connection = world.pool.acquire().await.unwrap();
        db::migrate(&mut connection).await.unwrap();
    };
    tokio::join!(migrate, commit);
    assert_eq!(world.number(DIFFERENCES).await, 0);
    assert_eq!(
        world
            .number("select sum(items)::bigint from telecom.package_queue_count")
            .await,
        2
    );
}
