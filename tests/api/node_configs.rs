//! A node never receives a configuration that makes it stop: changes of servers and clients check
//! what their nodes would receive.

use rstest::rstest;
use serde_json::{Value, json};
use sqlx::PgPool;
use telecom_tests::World;
use telecom_tests::api::Api;

const SERVERS: &str = "/v1/admin/node-servers";
const CLIENTS: &str = "/v1/admin/node-clients";

/// The status of a response, and the field and the detail of its problem.
type Answer = (u16, Value, String);

struct Fleet(Api);

impl Fleet {
    async fn new(pool: PgPool) -> Self {
        Self(Api::over_http(World::new(pool).await))
    }

    async fn send(&self, method: &str, path: &str, body: Value) -> (Answer, Value) {
        let key = body.to_string();
        let header = match method {
            "POST" => ("idempotency-key", key.as_str()),
            _ => ("if-match", "*"),
        };
        let (status, body) = self.0.change(method, path, &[header], &body).await;
        let detail = body["detail"].as_str().unwrap_or_default().to_owned();
        ((status, body["field"].clone(), detail), body)
    }

    /// Adds a server, and returns its id.
    async fn server(&self, name: &str, compatibility: &str, config: &Value) -> i64 {
        let body = json!({ "name": name, "compatibility": compatibility, "server_config": config });
        let (answer, body) = self.send("POST", SERVERS, body).await;
        assert_eq!(answer.0, 200, "{body}");
        body["server"]["id"].as_i64().unwrap()
    }

    async fn add_client(&self, server: i64, config: &Value) -> (Answer, Value) {
        let body = json!({ "server_id": server, "name": "a", "country": "DE",
            "client_config": config });
        self.send("POST", CLIENTS, body).await
    }

    /// Adds a client, and returns its id.
    async fn client(&self, server: i64, config: &Value) -> i64 {
        let (answer, body) = self.add_client(server, config).await;
        assert_eq!(answer.0, 200, "{body}");
        body["client"]["id"].as_i64().unwrap()
    }

    async fn patch_server(&self, id: i64, change: Value) -> Answer {
        let path = format!("{SERVERS}/{id}");
        self.send("PATCH", &path, change).await.0
    }

    async fn patch_client(&self, id: i64, change: Value) -> Answer {
        let path = format!("{CLIENTS}/{id}");
        self.send("PATCH", &path, change).await.0
    }
}

fn assert_refused(answer: &Answer, field: &str) {
    assert_eq!((answer.0, &answer.1), (400, &json!(field)), "{answer:?}");
}

fn vless() -> Value {
    json!({ "protocol": "vless", "network": "tcp" })
}

#[rstest]
#[case::type_of_a_field("new_v2b", json!({ "protocol": "vless", "tls": "1" }), "tls")]
#[case::protocol("new_v2b", json!({ "protocol": "wireguard" }), "protocol")]
#[case::key("new_v2b", json!({ "protocol": "shadowsocks", "cipher": "2022-blake3-aes-128-gcm",
    "server_key": "short" }), "server_key")]
#[case::sort("ssp", json!({ "sort": 7 }), "sort")]
#[case::custom_config("ssp", json!({ "sort": 11, "custom_config": { "offset_port_node": 443 } }),
    "custom_config.offset_port_node")]
#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_server_with_an_invalid_value_is_refused_before_it_has_clients(
    #[ignore] pool: PgPool,
    #[case] compatibility: &str,
    #[case] config: Value,
    #[case] field: &str,
) {
    let fleet = Fleet::new(pool).await;
    let body = json!({ "name": "a", "compatibility": compatibility, "server_config": config });
    let (answer, _) = fleet.send("POST", SERVERS, body).await;
    assert_refused(&answer, &format!("server_config.{field}"));
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_client_has_what_its_server_lacks(pool: PgPool) {
    let fleet = Fleet::new(pool).await;
    let server = fleet.server("a", "new_v2b", &vless()).await;
    let (answer, _) = fleet.add_client(server, &json!({})).await;
    assert_refused(&answer, "server_config.server_port");
    assert!(answer.2.starts_with("is missing"), "{}", answer.2);
    let (answer, _) = fleet
        .add_client(server, &json!({ "server_port": "443" }))
        .await;
    assert_refused(&answer, "client_config.server_port");
    let client = fleet.client(server, &json!({ "server_port": 443 })).await;

    let removed = json!({ "client_config": { "server_port": null } });
    let answer = fleet.patch_client(client, removed).await;
    assert_refused(&answer, "server_config.server_port");
    let answer = fleet
        .patch_client(client, json!({ "client_config": { "tls": 2 } }))
        .await;
    assert_refused(&answer, "server_config.tls_settings.private_key");
    let moved = json!({ "client_config": { "server_port": 8443 } });
    assert_eq!(fleet.patch_client(client, moved).await.0, 200);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_change_of_a_server_is_checked_for_each_of_its_clients(pool: PgPool) {
    let fleet = Fleet::new(pool).await;
    let config = json!({ "protocol": "vless", "network": "tcp", "server_port": 443 });
    let server = fleet.server("a", "new_v2b", &config).await;
    fleet
        .client(server, &json!({ "server_port": 8443, "network": "ws" }))
        .await;
    let second = fleet.client(server, &json!({})).await;
    let removed = json!({ "server_config": { "network": null } });
    let answer = fleet.patch_server(server, removed.clone()).await;
    assert_refused(&answer, "server_config.network");
    assert!(
        answer.2.ends_with(&format!("(node client {second})")),
        "{}",
        answer.2
    );

    let path = format!("{CLIENTS}/{second}/archive");
    let (answer, _) = fleet.send("PUT", &path, json!({ "reason": "sold" })).await;
    assert_eq!(answer.0, 200, "{answer:?}");
    assert_eq!(
        fleet.patch_server(server, removed).await.0,
        200,
        "the other has a network"
    );
    assert_eq!(
        fleet.patch_server(server, json!({ "name": "b" })).await.0,
        200
    );
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_change_of_the_protocol_of_the_panel_is_checked_for_each_client(pool: PgPool) {
    let fleet = Fleet::new(pool).await;
    let config = json!({ "protocol": "trojan", "network": "tcp", "server_port": 443, "sort": 14 });
    let server = fleet.server("a", "new_v2b", &config).await;
    fleet.client(server, &json!({})).await;
    let answer = fleet
        .patch_server(server, json!({ "compatibility": "ssp" }))
        .await;
    assert_refused(&answer, "server_config.server");
    let change = json!({ "compatibility": "ssp", "server_config": { "server": "n.example",
        "custom_config": { "offset_port_node": "443" } } });
    assert_eq!(fleet.patch_server(server, change).await.0, 200);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_client_that_moves_fits_its_new_server(pool: PgPool) {
    let fleet = Fleet::new(pool).await;
    let first = fleet.server("a", "new_v2b", &json!({})).await;
    let second = fleet.server("b", "new_v2b", &vless()).await;
    let client = fleet.client(first, &json!({})).await;
    let answer = fleet
        .patch_client(client, json!({ "server_id": second }))
        .await;
    assert_refused(&answer, "server_config.server_port");
    let change = json!({ "server_id": second, "client_config": { "server_port": 443 } });
    assert_eq!(fleet.patch_client(client, change).await.0, 200);
    let answer = fleet
        .patch_client(client, json!({ "client_config": null }))
        .await;
    assert_refused(&answer, "server_config.server_port");
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_row_that_is_already_invalid_can_still_be_renamed(pool: PgPool) {
    let fleet = Fleet::new(pool).await;
    let server = fleet.server("a", "new_v2b", &json!({})).await;
    let client = fleet.client(server, &json!({})).await;
    let by_hand = r#"update telecom.node_server set server_config = '{"protocol": "vless"}'"#;
    fleet.0.world.sql(by_hand).await;
    assert_eq!(
        fleet.patch_client(client, json!({ "name": "b" })).await.0,
        200
    );
    assert_eq!(
        fleet.patch_server(server, json!({ "name": "b" })).await.0,
        200
    );
    let answer = fleet
        .patch_server(server, json!({ "server_config": { "x": 1 } }))
        .await;
    assert_refused(&answer, "server_config.server_port");
}
