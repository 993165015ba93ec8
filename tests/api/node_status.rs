//! What nodes tell beside traffic: that they are online, metrics, and addresses of users.

use chrono::TimeDelta;
use sqlx::PgPool;
use telecom_tests::node::{Nodes, V1, get, post};
use telecom_tests::{NOW, at};

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn addresses_are_counted_for_three_minutes_and_stored_as_hashes(pool: PgPool) {
    let (nodes, query) = Nodes::uniproxy(pool).await;
    let alive = r#"{"1":["203.0.113.7","203.0.113.8_19"],"2":["::ffff:203.0.113.7"],"x":[]}"#;
    let alive = post(&format!("{V1}/alive"), &query, alive);
    for _ in 0..2 {
        assert_eq!(
            nodes.text(alive.clone()).await,
            (200, r#"{"data":true}"#.to_owned())
        );
    }
    let list = get(&format!("{V1}/alivelist"), &query);
    let counts = async || nodes.text(list.clone()).await.1;
    assert_eq!(counts().await, r#"{"alive":{"1":2,"2":1}}"#);
    let same = "select count(distinct address_hash) from telecom.online_address";
    assert_eq!(
        nodes.world().number(same).await,
        2,
        "an address has one hash"
    );
    nodes.world().clock.set(at(NOW) + TimeDelta::minutes(3));
    assert_eq!(counts().await, r#"{"alive":{}}"#);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_node_that_only_pulls_is_online(pool: PgPool) {
    let (nodes, query) = Nodes::uniproxy(pool).await;
    let seen = "select extract(epoch from last_online_at)::bigint
        from telecom.node_server_heartbeat";
    for seconds in [0, 60] {
        let now = at(NOW) + TimeDelta::seconds(seconds);
        nodes.world().clock.set(now);
        nodes.send(&get(&format!("{V1}/user"), &query)).await;
        assert_eq!(nodes.world().number(seen).await, now.timestamp());
    }
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_report_without_metrics_keeps_those_that_were_measured(pool: PgPool) {
    let (nodes, query) = Nodes::uniproxy(pool).await;
    let cpu = "select (cpu_percent * 10)::bigint from telecom.node_server_heartbeat";
    for (seconds, path, body) in [
        (0, format!("{V1}/status"), r#"{"cpu":12.5}"#),
        (30, format!("{V1}/status"), r#"{"cpu":"much"}"#),
        (
            60,
            "/api/v2/server/report".to_owned(),
            r#"{"traffic":{"1":[1,2]}}"#,
        ),
    ] {
        nodes
            .world()
            .clock
            .set(at(NOW) + TimeDelta::seconds(seconds));
        assert_eq!(nodes.send(&post(&path, &query, body)).await.status(), 200);
        nodes.deliver().await;
        assert_eq!(nodes.world().number(cpu).await, 125, "{path} {body}");
    }
}
