//! What asks for the users who are connected now reads by index.

use sqlx::PgPool;
use telecom_tests::World;

use super::explain::plan;
use super::{check, vacuum};

/// 200,000 users with numbers, of whom 40,000 have an active item and are connected from two
/// addresses each, on 3,000 clients.
const DATA: &str = "
    insert into telecom.package (series, version, name, available_group, max_client_number,
    expire_duration_seconds, traffic_limit_bytes)
        values (gen_random_uuid(), 1, 'p', 1, 3, 86400, 1000);
    insert into telecom.node_user (user_id) select md5(n::text)::uuid
    from generate_series(1, 200000) n;
    insert into telecom.package_queue (user_id, package_id, status, activated_at, expires_at)
        select md5(n::text)::uuid, id, 'active', now(), now()
        from telecom.package, generate_series(1, 40000) n;
    insert into telecom.online_address
        select 1 + n % 40000, 1 + n % 3000, decode(md5((n % 60000)::text), 'hex'),
            timestamptz '2026-03-01Z' + n % 240 * interval '1 second'
        from generate_series(1, 80000) n;";
const TABLES: [&str; 3] = ["online_address", "node_user", "package_queue"];
const ROWS: f64 = 80_000.0;

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn users_who_are_connected_are_found_by_index(pool: PgPool) {
    let world = World {
        pool,
        ..World::offline()
    };
    sqlx::raw_sql(DATA).execute(&world.pool).await.unwrap();
    vacuum(&world).await;
    let user = "(select user_id from telecom.node_user where number = 7)";
    let uuid: uuid::Uuid = sqlx::query_scalar(&format!("select {user}"))
        .fetch_one(&world.pool)
        .await
        .unwrap();
    let since = "'2026-03-01 00:01Z'";
    let find = "online_address.find";
    for (name, arguments, most_rows, whole) in [
        // All addresses are counted.
        (
            find,
            format!("null, null, {since}, 50, 100, 1000"),
            ROWS,
            &TABLES[1..],
        ),
        (
            find,
            format!("'{uuid}', null, {since}, 50, 0, 1000"),
            10.0,
            &TABLES,
        ),
        (
            find,
            format!("'{uuid}', 8, {since}, 50, 0, 1000"),
            10.0,
            &TABLES,
        ),
        (
            find,
            format!("null, 7, {since}, 50, 0, 1000"),
            100.0,
            &TABLES,
        ),
        (
            "online_address.of_user",
            format!("'{uuid}', {since}, 1000"),
            10.0,
            &TABLES,
        ),
        (
            "online_address.users",
            "'{7,8,9}', '{1,2,3}', '{1,1,1}'".to_owned(),
            10.0,
            &TABLES,
        ),
    ] {
        let plan = plan(&world, name, &arguments).await;
        check(name, &arguments, &plan, most_rows, whole);
    }
}
