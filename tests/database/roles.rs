//! Each function acts in the database as a role that may do what it needs, and no more. (That it may do what it needs, all
//! other tests show: their functions act so.)

use shared::db;
use sqlx::PgPool;
use telecom_tests::World;

const DENIED: &str = "42501";

/// The SQLSTATE that a statement ends with.
async fn sqlstate(pool: &PgPool, sql: &str) -> String {
    let done = sqlx::raw_sql(sql).execute(pool).await;
    done.err().map(|error| error.as_database_error().unwrap().code().unwrap().into_owned()).unwrap_or_default()
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_reader_reads_everything_and_writes_nothing(pool: PgPool) {
    let world = World::new(pool).await;
    let relations = async |kinds: &str| -> Vec<String> {
        let relations = "select format('telecom.%I', relname) from pg_class
            where relnamespace = 'telecom'::regnamespace and not relispartition and relkind::text = any(string_to_array($1, ','))";
        sqlx::query_scalar(relations).bind(kinds).fetch_all(&world.pool).await.unwrap()
    };
    for relation in relations("r,p,v,m").await {
        let read = format!("select from {relation} limit 1");
        assert_eq!(sqlstate(&world.reader, &read).await, "", "{relation}");
    }
    for table in relations("r,p").await {
        for write in [format!("delete from {table}"), format!("insert into {table} default values")] {
            assert_eq!(sqlstate(&world.reader, &write).await, DENIED, "{write}");
        }
    }
    for call in ["refresh_node_status_view()", "drop_traffic_usage_partitions('2100-01-01')"] {
        assert_eq!(sqlstate(&world.reader, &format!("select telecom.{call}")).await, DENIED, "{call}");
    }
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_writer_writes_nothing_that_is_the_operators(pool: PgPool) {
    let world = World::new(pool).await;
    let refused = [
        "update telecom.package set traffic_limit_bytes = 0",
        "update telecom.node_client set traffic_factor = 0",
        "delete from telecom.node_server",
        "insert into telecom.package_queue (user_id, package_id) values (gen_random_uuid(), 1)",
        "delete from telecom.package_queue",
        "create table telecom.mine (id integer)",
        "drop table telecom.usage_report",
        "refresh materialized view telecom.node_status_hourly_mv",
        "alter role telecom_writer superuser",
        "copy telecom.package to '/tmp/packages'",
    ];
    for sql in refused {
        assert_eq!(sqlstate(&world.writer, sql).await, DENIED, "{sql}");
    }
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_repeat_covers_what_is_new(pool: PgPool) {
    let world = World::new(pool).await;
    world.sql("create table telecom.news (id integer)").await;
    assert_eq!(sqlstate(&world.reader, "select from telecom.news").await, DENIED);
    db::grant(&mut world.pool.acquire().await.unwrap()).await.unwrap();
    assert_eq!(sqlstate(&world.reader, "select from telecom.news").await, "");
}
