//! `SetUserNodeCredential`: which secrets are accepted, and who sees them.

use rstest::rstest;
use serde_json::{Value, json};
use sqlx::PgPool;
use telecom_tests::log::Log;
use telecom_tests::node::{Nodes, V1, get};
use telecom_tests::user;
use uuid::Uuid;

const SECRET: &str = "8a2b1a52-43f1-4c53-9f0d-3f8f5f0c2a11";

async fn set(nodes: &Nodes, of: Uuid, secret: &str) -> (u16, Value) {
    let path = format!("/v1/admin/users/{of}/node-credential");
    let body = json!({ "secret": secret, "reason": "moved" });
    nodes.api.change("PUT", &path, &[], &body).await
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn nodes_get_the_secret_that_a_user_had_elsewhere(pool: PgPool) {
    let (nodes, query) = Nodes::uniproxy(pool).await;
    let pull = get(&format!("{V1}/user"), &query);
    let (_, before) = nodes.json(pull.clone()).await;
    let (status, set_one) = set(&nodes, user(1), SECRET).await;
    assert_eq!(
        (status, set_one),
        (200, json!({ "number": 1, "changed": true }))
    );
    let (_, after) = nodes.json(pull).await;
    assert_eq!(after["users"][0]["uuid"], SECRET);
    assert_eq!(after["users"][1], before["users"][1]);

    // A repeat in another form is no change. A user without an item gets a number, too.
    let (_, repeated) = set(&nodes, user(1), &SECRET.to_uppercase()).await;
    assert_eq!(repeated, json!({ "number": 1, "changed": false }));
    let other = "0f9d2c3e-5a6b-4c7d-8e9f-a0b1c2d3e4f5";
    let (status, new) = set(&nodes, user(9), other).await;
    assert_eq!((status, &new["changed"]), (200, &json!(true)));
    assert_eq!(nodes.secret(9).await, other);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn the_secret_is_neither_logged_nor_audited_nor_returned(pool: PgPool) {
    let (nodes, _) = Nodes::uniproxy(pool).await;
    let log = Log::of_everything();
    let (_, answer) = set(&nodes, user(1), SECRET).await;
    let (_, refused) = set(&nodes, user(2), SECRET).await;
    let logged = log.take_text();
    let audited = nodes.world().audited().await;
    let masked = json!(["SetUserNodeCredential", "node_credential",
        { "secret": "********" }, { "secret": "******** (changed)" }, "moved"]);
    assert_eq!(audited.last(), Some(&masked));
    let kept: Vec<Value> = sqlx::query_scalar("select to_jsonb(c) from telecom.answered_call c")
        .fetch_all(&nodes.world().pool)
        .await
        .unwrap();
    let all = format!("{logged} {audited:?} {answer} {refused} {kept:?}");
    assert!(!all.contains(SECRET), "{all}");
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn the_secret_of_another_user_is_refused(pool: PgPool) {
    let (nodes, _) = Nodes::uniproxy(pool).await;
    let of_two = nodes.secret(2).await;
    let (status, problem) = set(&nodes, user(1), &of_two).await;
    assert_eq!((status, &problem["code"]), (409, &json!("secret_in_use")));
    assert_ne!(nodes.secret(1).await, of_two);
    // The index refuses it, too, if both users get it at the same time.
    let (one, two) = tokio::join!(set(&nodes, user(1), SECRET), set(&nodes, user(2), SECRET));
    let mut statuses = [one.0, two.0];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409]);
}

#[rstest]
#[case::nil("00000000-0000-0000-0000-000000000000")]
#[case::max("ffffffff-ffff-ffff-ffff-ffffffffffff")]
#[case::of_a_time("0190a3f0-7c1a-7000-8000-000000000001")]
#[case::of_a_name("5df41881-3aed-3515-88a7-2f4a814cf09e")]
#[case::of_another_variant("8a2b1a52-43f1-4c53-cf0d-3f8f5f0c2a11")]
#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_secret_that_is_not_random_is_refused(#[ignore] pool: PgPool, #[case] weak: &str) {
    let (nodes, _) = Nodes::uniproxy(pool).await;
    let (status, problem) = set(&nodes, user(1), weak).await;
    assert_eq!(
        (status, &problem["code"], &problem["field"]),
        (400, &json!("invalid_parameter"), &json!("secret"))
    );
    assert_ne!(nodes.secret(1).await, weak);
}
