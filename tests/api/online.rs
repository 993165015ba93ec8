//! Who is connected now, for administrators and for the users themselves.

use chrono::TimeDelta;
use serde_json::{Value, json};
use sqlx::PgPool;
use telecom_tests::node::{Nodes, V1, post};
use telecom_tests::{CLIENT, GIB, NOW, SERVER, at, user};

const USERS: &str = "/v1/admin/online-users";
/// Another client of the same server.
const OTHER: i32 = CLIENT + 1;

/// Nodes of two clients, with users 1 to 3, whose numbers are the same.
async fn nodes(pool: PgPool) -> (Nodes, String) {
    let nodes = Nodes::new(pool).await;
    let other = format!(
        "insert into telecom.node_client (id, node_server_id, name, country)
        values ({OTHER}, {SERVER}, 'other', 'DE')"
    );
    nodes.world().sql(&other).await;
    let package = nodes.world().package(GIB, 30).await;
    for n in 1..=3 {
        nodes.world().active_item(user(n), package).await;
    }
    let (_, token) = nodes.access("uniproxy", json!({})).await;
    (nodes, token)
}

/// Reports addresses of users, by number, from a client.
async fn alive(nodes: &Nodes, token: &str, client: i32, addresses: &Value) {
    let query = format!("token={token}&node_id={client}");
    let alive = post(&format!("{V1}/alive"), &query, addresses.to_string());
    assert_eq!(nodes.send(&alive).await.status(), 200);
}

/// The answer to an administrator.
async fn online(nodes: &Nodes, query: &str) -> Value {
    let admin = nodes.api.issuer.admin();
    let (status, answer) = nodes.api.get(USERS, query, Some(&admin)).await;
    assert_eq!(status, 200, "{answer}");
    answer
}

/// The answer to user `n`.
async fn devices(nodes: &Nodes, n: u128) -> Value {
    let token = nodes.api.issuer.user(user(n));
    let (status, answer) = nodes.api.get("/v1/online-devices", "", Some(&token)).await;
    assert_eq!(status, 200, "{answer}");
    answer
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn an_address_on_two_clients_counts_once_in_the_total(pool: PgPool) {
    let (nodes, token) = nodes(pool).await;
    let both = json!({ "1": ["203.0.113.7", "203.0.113.8"] });
    alive(&nodes, &token, CLIENT, &json!({ "1": ["203.0.113.7"] })).await;
    alive(&nodes, &token, OTHER, &both).await;
    let expected = json!({
        "as_of": NOW, "addresses": 2, "device_limit": 3,
        "clients": [
            { "node_client_id": OTHER, "addresses": 2 },
            { "node_client_id": CLIENT, "addresses": 1 }
        ]
    });
    assert_eq!(devices(&nodes, 1).await, expected);
    let expected = json!({
        "as_of": NOW, "total": 1, "addresses": 2, "client_count": 2,
        "users": [{ "user": user(1), "number": 1, "addresses": 2, "client_count": 2,
            "device_limit": 3 }],
        "clients": [
            { "node_client_id": OTHER, "users": 1, "addresses": 2 },
            { "node_client_id": CLIENT, "users": 1, "addresses": 1 }
        ]
    });
    assert_eq!(online(&nodes, "").await, expected);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn an_address_that_is_three_minutes_old_does_not_count(pool: PgPool) {
    let (nodes, token) = nodes(pool).await;
    let counted = async |age: TimeDelta| {
        nodes.world().clock.set(at(NOW) + age);
        let all = online(&nodes, "").await;
        let own = devices(&nodes, 1).await;
        (
            all["total"].clone(),
            all["addresses"].clone(),
            own["addresses"].clone(),
        )
    };
    alive(&nodes, &token, CLIENT, &json!({ "1": ["203.0.113.7"] })).await;
    let three = TimeDelta::minutes(3);
    let one = (json!(1), json!(1), json!(1));
    assert_eq!(counted(three - TimeDelta::microseconds(1)).await, one);
    let none = (json!(0), json!(0), json!(0));
    assert_eq!(counted(three).await, none);
    alive(&nodes, &token, CLIENT, &json!({ "1": ["203.0.113.7"] })).await;
    assert_eq!(counted(three).await, one);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn an_address_of_two_users_counts_for_each_of_them(pool: PgPool) {
    let (nodes, token) = nodes(pool).await;
    let shared = json!({ "1": ["203.0.113.7"], "2": ["203.0.113.7"] });
    alive(&nodes, &token, CLIENT, &shared).await;
    let all = online(&nodes, "").await;
    assert_eq!((&all["total"], &all["addresses"]), (&json!(2), &json!(2)));
    let client = json!([{ "node_client_id": CLIENT, "users": 2, "addresses": 2 }]);
    assert_eq!(all["clients"], client);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn users_see_only_their_own_devices(pool: PgPool) {
    let (nodes, token) = nodes(pool).await;
    let of_two = json!({ "1": ["203.0.113.7"], "2": ["203.0.113.7", "203.0.113.8"] });
    alive(&nodes, &token, CLIENT, &of_two).await;
    assert_eq!(devices(&nodes, 1).await["addresses"], 1);
    assert_eq!(devices(&nodes, 2).await["addresses"], 2);
    let none = json!({ "as_of": NOW, "addresses": 0, "device_limit": 3, "clients": [] });
    assert_eq!(devices(&nodes, 3).await, none);
    // A user who never had a package.
    let none = json!({ "as_of": NOW, "addresses": 0, "device_limit": null, "clients": [] });
    assert_eq!(devices(&nodes, 99).await, none);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn online_users_are_listed_by_pages_and_filters(pool: PgPool) {
    let (nodes, token) = nodes(pool).await;
    let first = json!({ "1": ["203.0.113.1"], "2": ["203.0.113.2"] });
    let second = json!({ "2": ["203.0.113.2"], "3": ["203.0.113.3", "203.0.113.4"] });
    alive(&nodes, &token, CLIENT, &first).await;
    alive(&nodes, &token, OTHER, &second).await;
    let one = format!("user={}", user(2));
    let client = format!("node_client_id={OTHER}");
    let neither = format!("user={}&node_client_id={OTHER}", user(1));
    for (query, numbers, total, addresses, clients) in [
        ("", vec![3, 1, 2], 3, 4, 2),
        ("limit=1", vec![3], 3, 4, 2),
        ("limit=2&offset=1", vec![1, 2], 3, 4, 2),
        ("offset=3", vec![], 3, 4, 2),
        (&one, vec![2], 1, 1, 2),
        (&client, vec![3, 2], 2, 3, 1),
        (&neither, vec![], 0, 0, 0),
        ("user=00000000-0000-4000-8000-0000000000ee", vec![], 0, 0, 0),
    ] {
        let answer = online(&nodes, query).await;
        let users = answer["users"].as_array().unwrap();
        let listed: Vec<_> = users
            .iter()
            .map(|user| user["number"].as_i64().unwrap())
            .collect();
        let figures = ["total", "addresses", "client_count"].map(|field| answer[field].clone());
        assert_eq!(
            (listed, figures),
            (numbers, [total, addresses, clients].map(Value::from)),
            "{query}"
        );
        let clients_listed = answer["clients"].as_array().unwrap().len();
        assert_eq!(json!(clients_listed), answer["client_count"], "{query}");
    }
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn unknown_users_and_clients_of_other_servers_do_not_count(pool: PgPool) {
    let (nodes, token) = nodes(pool).await;
    nodes.world().server(SERVER + 1, &[(OTHER + 1, "1")]).await;
    let unknown = json!({ "1": ["203.0.113.1"], "999": ["203.0.113.2"] });
    alive(&nodes, &token, CLIENT, &unknown).await;
    for client in [OTHER + 1, 999] {
        alive(&nodes, &token, client, &json!({ "1": ["203.0.113.9"] })).await;
    }
    let all = online(&nodes, "").await;
    let figures = ["total", "addresses", "client_count"].map(|field| all[field].clone());
    assert_eq!(figures, [1, 1, 1].map(Value::from));
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_connected_user_without_an_active_package_has_no_device_limit(pool: PgPool) {
    let (nodes, token) = nodes(pool).await;
    alive(&nodes, &token, CLIENT, &json!({ "1": ["203.0.113.7"] })).await;
    nodes
        .world()
        .sql(
            "update telecom.package_queue set status = 'cancelled', ended_at = now(),
            end_reason = 'cancelled'",
        )
        .await;
    let all = online(&nodes, "").await;
    assert_eq!(
        (&all["total"], &all["users"][0]["device_limit"]),
        (&json!(1), &Value::Null)
    );
    let own = devices(&nodes, 1).await;
    assert_eq!(
        (&own["addresses"], &own["device_limit"]),
        (&json!(1), &Value::Null)
    );
}
