//! Doubtful pushes: what administrators see, and what a decision gives back.

use serde_json::{Value, json};
use sqlx::PgPool;
use telecom_tests::api::{Api, event};
use telecom_tests::push::{Push, push};
use telecom_tests::token::Issuer;
use telecom_tests::{GIB, World, user};
use uuid::Uuid;

const LIST: &str = "/v1/admin/doubtful-pushes";
/// The rows of users 1 and 2.
const ROWS: &[(i32, i64, i64)] = &[(1, 1001, 2001), (2, 10, 20)];

/// An API over a world in which a push of a client of factor 2.5 contains the one before.
async fn api(pool: PgPool) -> Api {
    let world = World::new(pool).await;
    world.number_users(3).await;
    world
        .sql("update telecom.node_client set traffic_factor = 2.5")
        .await;
    assert_eq!(
        world.push(&[push(1, 0.0, ROWS), push(2, 60.0, ROWS)]).await,
        [""; 0]
    );
    Api::over_both(world, Issuer::default()).await
}

async fn decide(api: &Api, id: i64, decision: &str, key: &str) -> (u16, Value) {
    let token = api.issuer.admin();
    let path = format!("{LIST}/{id}/decision");
    let headers = [("idempotency-key", key)];
    let mut event = event("POST", &path, "", Some(&token), &headers);
    event["body"] = json!(json!({ "decision": decision, "reason": "checked" }).to_string());
    let response = api.send(event).await;
    let body = serde_json::from_slice(response.body()).unwrap_or(Value::Null);
    (response.status().as_u16(), body)
}

async fn list(api: &Api, query: &str) -> Vec<Value> {
    let token = api.issuer.admin();
    let (status, body) = api.get(LIST, query, Some(&token)).await;
    assert_eq!(status, 200, "{body}");
    body["pushes"].as_array().unwrap().clone()
}

/// The adjustments of all items, by item.
async fn adjustments(api: &Api) -> Vec<i64> {
    sqlx::query_scalar("select adjust_quota_bytes from telecom.package_queue order by id")
        .fetch_all(&api.world.pool)
        .await
        .unwrap()
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_doubtful_push_is_listed_with_what_is_at_stake(pool: PgPool) {
    let api = api(pool).await;
    let listed = list(&api, "state=open").await;
    let expected = json!({
        "id": 1, "doubt": "contains_previous", "evidence": ["larger"],
        "push_id": Uuid::from_u128(2), "previous_push_id": Uuid::from_u128(1), "access_id": 7,
        "server_id": 1, "node_client_id": 11, "arrived_at": "2026-03-10T10:31:00Z", "users": 2,
        "bytes": 3032, "billed": true, "unreadable_rows": 0, "unreadable": [], "decision": null,
        "decided_at": null
    });
    assert_eq!(listed, [expected]);
    for none in [
        "state=decided",
        "doubt=unknown_users",
        "server_id=2",
        "node_client_id=12",
    ] {
        assert_eq!(list(&api, none).await, [Value::Null; 0], "{none}");
    }
    for one in [
        "",
        "doubt=contains_previous",
        "server_id=1&node_client_id=11&state=open",
    ] {
        assert_eq!(list(&api, one).await.len(), 1, "{one}");
    }
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_correction_gives_each_user_back_what_was_billed_twice(pool: PgPool) {
    let api = api(pool).await;
    let package = api.world.package(GIB, 30).await;
    api.world.active_item(user(1), package).await;
    api.world.waiting_item(user(1), package).await;
    let (status, answer) = decide(&api, 1, "correct", "k").await;
    assert_eq!(status, 200, "{answer}");
    // 1001 and 2001 bytes by 2.5 are 2502.5 and 5002.5, rounded away from zero.
    assert_eq!(adjustments(&api).await, [2503 + 5003, 0]);
    let (corrected, left) = (&answer["corrected_bytes"], &answer["uncorrected"]);
    assert_eq!(corrected, &json!(2503 + 5003));
    assert_eq!(left, &json!([{ "user": user(2), "bytes": 25 + 50 }]));
    assert_eq!(answer["push"]["decision"], "corrected");
    let facts = api.world.facts().await;
    let adjusted: Vec<&Value> = facts
        .iter()
        .filter(|(kind, _)| kind == "QuotaAdjusted")
        .map(|(_, detail)| &detail["adjust_quota_bytes"])
        .collect();
    assert_eq!(adjusted, [&json!(7506)]);
    let audited = "select count(*) from telecom.audit_entry where action = 'DecideDoubtfulPush'";
    assert_eq!(api.world.number(audited).await, 2);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_user_without_an_active_item_gets_the_bytes_on_the_next_waiting_one(pool: PgPool) {
    let api = api(pool).await;
    let package = api.world.package(GIB, 30).await;
    api.world.waiting_item(user(2), package).await;
    api.world.waiting_item(user(2), package).await;
    assert_eq!(decide(&api, 1, "correct", "k").await.0, 200);
    assert_eq!(adjustments(&api).await, [75, 0]);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_push_is_decided_once(pool: PgPool) {
    let api = api(pool).await;
    let package = api.world.package(GIB, 30).await;
    api.world.active_item(user(2), package).await;
    let first = decide(&api, 1, "correct", "k").await;
    assert_eq!(decide(&api, 1, "correct", "k").await, first);
    for decision in ["correct", "keep"] {
        let (status, problem) = decide(&api, 1, decision, decision).await;
        assert_eq!((status, &problem["code"]), (409, &json!("push_decided")));
    }
    assert_eq!(adjustments(&api).await, [75]);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn two_decisions_at_once_give_back_once(pool: PgPool) {
    let api = api(pool).await;
    let package = api.world.package(GIB, 30).await;
    api.world.active_item(user(2), package).await;
    let (one, other) = tokio::join!(
        decide(&api, 1, "correct", "one"),
        decide(&api, 1, "correct", "other")
    );
    let mut statuses = [one.0, other.0];
    statuses.sort_unstable();
    assert_eq!((statuses, adjustments(&api).await), ([200, 409], vec![75]));
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_kept_push_changes_no_quota(pool: PgPool) {
    let api = api(pool).await;
    let package = api.world.package(GIB, 30).await;
    api.world.active_item(user(1), package).await;
    let (status, answer) = decide(&api, 1, "keep", "k").await;
    assert_eq!((status, &answer["push"]["decision"]), (200, &json!("kept")));
    assert_eq!(adjustments(&api).await, [0]);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn what_was_not_billed_cannot_be_corrected(pool: PgPool) {
    let api = api(pool).await;
    let quarantined = |id, at| push(id, at, &[(1, 1 << 50, 0)]).with("/access_id", json!(8));
    let pushes: [Push; 3] = [
        push(3, 0.0, &[(900, 1, 1)]).with("/access_id", json!(9)),
        quarantined(4, 0.0),
        quarantined(5, 60.0),
    ];
    assert_eq!(api.world.push(&pushes).await, [""; 0]);
    for (id, status) in [(2, 200), (3, 200)] {
        let (refused, problem) = decide(&api, id, "correct", "c").await;
        let detail = problem["detail"].as_str().unwrap_or_default();
        assert!(
            refused == 400 && detail.contains("expected keep"),
            "{problem}"
        );
        assert_eq!(decide(&api, id, "keep", &format!("k{id}")).await.0, status);
    }
}
