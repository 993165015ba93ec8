//! Which nodes users see, and when administrators see a node as changed.

use serde_json::json;
use sqlx::PgPool;
use telecom_tests::api::Api;
use telecom_tests::report::report_of;
use telecom_tests::{GIB, NOW, World, at, user};

use super::maintenance::Scenario;

/// Ids of a user's nodes in the list, in the availability and among the usually used nodes.
async fn nodes_of(scenario: &Scenario) -> [Vec<i64>; 3] {
    let token = scenario.user();
    let ids = async |path: &str, list: &str, id: &str| -> Vec<i64> {
        let (_, answer) = scenario.api.get(path, "", Some(&token)).await;
        answer[list]
            .as_array()
            .unwrap()
            .iter()
            .map(|node| node[id].as_i64().unwrap())
            .collect()
    };
    [
        ids("/v1/nodes", "nodes", "id").await,
        ids("/v1/node-status-history", "availability", "node_client_id").await,
        ids("/v1/usually-used-nodes", "nodes", "node_client_id").await,
    ]
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_user_sees_only_the_nodes_of_the_active_package(pool: PgPool) {
    let mut scenario = Scenario::begin(pool).await;
    let world = scenario.api.world.clone();
    world.server(3, &[(31, "1"), (32, "1")]).await;
    world
        .sql("update telecom.node_client set access_groups = '{2}' where id = 31")
        .await;
    world
        .sql("update telecom.node_client set access_groups = '{1,2}' where id = 32")
        .await;
    let next = world.package(GIB, 30).await;
    world
        .sql(&format!(
            "update telecom.package set available_group = 2 where id = {next}"
        ))
        .await;
    world.waiting_item(user(1), next).await;
    for (server, client) in [(1, 11), (3, 31), (3, 32)] {
        let mut body = report_of(client, server, at(NOW), &[(user(1), 1_000, 0)]);
        body["usage"][0]["node_client_id"] = json!(client);
        world.assert_reports_accepted(&[body.to_string()]).await;
    }
    world.deliver_all().await;
    assert_eq!(
        nodes_of(&scenario).await,
        [vec![11, 32], vec![11, 32], vec![11, 32]]
    );
    // The first package is used up, and the waiting one becomes active.
    let exhausting = report_of(9, 1, at(NOW), &[(user(1), 2 * GIB, 0)]);
    world
        .assert_reports_accepted(&[exhausting.to_string()])
        .await;
    world.deliver_all().await;
    assert_eq!(
        nodes_of(&scenario).await,
        [vec![31, 32], vec![31, 32], vec![31, 32]]
    );
    scenario.pass(1, &[1, 2, 3]).await;
    world
        .sql(
            "update telecom.package_queue set status = 'cancelled', ended_at = now(), \
        end_reason = 'cancelled' where status = 'active'",
        )
        .await;
    assert!(nodes_of(&scenario).await.iter().all(Vec::is_empty));
}

/// `updated_at` is the time of the last edit of a node's row by a person.
#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn updated_at_changes_with_the_configuration_but_not_the_status(pool: PgPool) {
    let world = World::new(pool).await;
    world
        .sql(
            "insert into telecom.node_server (id, name, compatibility, updated_at) values (2, \
        's', 'ssp', '2026-01-02Z')",
        )
        .await;
    world
        .sql(
            "insert into telecom.node_client (id, node_server_id, name, country, updated_at) \
        values (22, 2, 'c', 'DE', '2026-01-02Z')",
        )
        .await;
    let api = Api::over_http(world);
    let admin = api.issuer.admin();
    let changed = async || {
        let server = api
            .get("/v1/admin/node-servers/2", "", Some(&admin))
            .await
            .1;
        let client = api
            .get("/v1/admin/node-clients/22", "", Some(&admin))
            .await
            .1;
        [&server["updated_at"], &client["client"]["updated_at"]]
            .map(|at| at != "2026-01-02T00:00:00Z")
    };
    let body = r#"{"maintenance":true,"reason":"a new disk"}"#;
    assert_eq!(
        api.put(
            "/v1/admin/node-servers/2/maintenance",
            "",
            body,
            Some(&admin)
        )
        .await
        .0,
        200
    );
    api.world
        .sql("update telecom.node_server set name = name, server_config = server_config")
        .await;
    assert_eq!(changed().await, [false, false]);
    api.world
        .sql(r#"update telecom.node_server set server_config = '{"port": 1}' where id = 2"#)
        .await;
    assert_eq!(changed().await, [true, false]);
    api.world
        .sql("update telecom.node_client set traffic_factor = 2 where id = 22")
        .await;
    assert_eq!(changed().await, [true, true]);
}
