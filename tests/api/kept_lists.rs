//! Lists of users that a function keeps compressed in its memory.

use std::io::Read as _;

use chrono::TimeDelta;
use flate2::read::GzDecoder;
use rstest::rstest;
use sqlx::PgPool;
use telecom_tests::node::{Asked, Nodes, V1, get, header};
use telecom_tests::{CLIENT, NOW, at};

/// Nodes with 30 more users, whose list is long enough to be compressed.
async fn nodes(pool: PgPool, ssp: bool) -> (Nodes, Asked) {
    let (nodes, query) = if ssp {
        Nodes::mod_mu(pool).await
    } else {
        Nodes::uniproxy(pool).await
    };
    nodes
        .world()
        .sql(
            "insert into telecom.package_queue
                (user_id, package_id, status, activated_at, expires_at)
            select md5(n::text)::uuid, 1, 'active', now(), '2028-01-01Z'
            from generate_series(1, 30) n",
        )
        .await;
    let path = if ssp {
        "/mod_mu/users".to_owned()
    } else {
        format!("{V1}/user")
    };
    (nodes, get(&path, &query))
}

/// The list as a node receives it that accepts gzip. A list without users is too short for it.
async fn compressed(nodes: &Nodes, pull: &Asked) -> String {
    let asked = pull.clone().with("accept-encoding", "gzip");
    let response = nodes.send(&asked).await;
    if header(&response, "content-encoding").is_empty() {
        return String::from_utf8(response.body().to_vec()).unwrap();
    }
    let mut text = String::new();
    GzDecoder::new(response.body().as_ref())
        .read_to_string(&mut text)
        .unwrap();
    text
}

/// How often lists were read from the database.
async fn reads(nodes: &Nodes) -> i64 {
    nodes.calls("user_list.users").await
}

#[rstest]
#[case::uniproxy(false)]
#[case::mod_mu(true)]
#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_list_is_read_and_compressed_once_per_version(#[ignore] pool: PgPool, #[case] ssp: bool) {
    let (nodes, pull) = nodes(pool, ssp).await;
    let before = reads(&nodes).await;
    let first = compressed(&nodes, &pull).await;
    for _ in 0..3 {
        assert_eq!(compressed(&nodes, &pull).await, first);
    }
    assert_eq!(reads(&nodes).await - before, 1);
    nodes
        .world()
        .sql("update telecom.node_user set secret = gen_random_uuid() where number = 5")
        .await;
    assert_ne!(compressed(&nodes, &pull).await, first);
    compressed(&nodes, &pull).await;
    assert_eq!(reads(&nodes).await - before, 2);
}

/// A request without gzip always reads the list.
#[rstest]
#[case::uniproxy(false)]
#[case::mod_mu(true)]
#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_changed_list_is_never_served_from_memory(#[ignore] pool: PgPool, #[case] ssp: bool) {
    let (nodes, pull) = nodes(pool, ssp).await;
    let mut before = compressed(&nodes, &pull).await;
    // The package of user `id` ended two minutes ago, so that it should have been ended by now.
    let overdue = |id: i32| {
        format!(
            "update telecom.package_queue set expires_at = case when id = {id}
                then timestamptz '2026-03-10 10:28Z' else '2028-01-01Z' end"
        )
    };
    let (seventh, eighth, none) = (overdue(7), overdue(8), overdue(0));
    for change in [
        "update telecom.package_queue set adjust_quota_bytes = -2000000000 where id = 3",
        "update telecom.package_queue set adjust_quota_bytes = 0 where id = 3",
        "update telecom.node_user set secret = gen_random_uuid() where number = 4",
        "update telecom.package set max_client_number = 7",
        "update telecom.node_client set speed_limit_bits_per_second = 1500000",
        "delete from telecom.package_queue where id = 6",
        &seventh,
        &eighth,
        &seventh,
        &none,
        "update telecom.node_client set access_groups = '{3}'",
        "update telecom.node_client set access_groups = '{1}'",
    ] {
        nodes.world().sql(change).await;
        let list = compressed(&nodes, &pull).await;
        assert_ne!(list, before, "{change}");
        // The secret of a user that does not exist differs each time.
        if !list.contains("2147483647") {
            assert_eq!(compressed(&nodes, &pull).await, list, "{change}");
            assert_eq!(nodes.text(pull.clone()).await.1, list, "{change}");
        }
        before = list;
    }
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_list_in_memory_ends_when_an_item_is_overdue(pool: PgPool) {
    let (nodes, pull) = nodes(pool, false).await;
    let end = "update telecom.package_queue set expires_at = '2026-03-10T10:30:00Z' where id = 5";
    nodes.world().sql(end).await;
    let first = compressed(&nodes, &pull).await;
    let until = at(NOW) + TimeDelta::minutes(2);
    nodes.world().clock.set(until - TimeDelta::microseconds(1));
    assert_eq!(compressed(&nodes, &pull).await, first);
    nodes.world().clock.set(until);
    assert_ne!(compressed(&nodes, &pull).await, first);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_node_that_accepts_no_gzip_gets_no_compressed_list(pool: PgPool) {
    let (nodes, pull) = nodes(pool, false).await;
    let first = compressed(&nodes, &pull).await;
    assert_eq!(nodes.text(pull.clone()).await, (200, first));
    let head = Asked {
        method: "HEAD",
        ..pull.with("accept-encoding", "gzip")
    };
    assert!(nodes.send(&head).await.body().is_empty());
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_client_that_moves_to_another_server_is_refused_its_list(pool: PgPool) {
    let (nodes, pull) = nodes(pool, false).await;
    compressed(&nodes, &pull).await;
    nodes.world().server(2, &[]).await;
    nodes
        .world()
        .sql(&format!(
            "update telecom.node_client set node_server_id = 2 where id = {CLIENT}"
        ))
        .await;
    let response = nodes.send(&pull.with("accept-encoding", "gzip")).await;
    assert_eq!(response.status(), 401);
}
