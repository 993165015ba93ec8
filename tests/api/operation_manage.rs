//! The audit log and parked events: what administrators read, and what a retry does.

use chrono::TimeDelta;
use serde_json::{Value, json};
use sqlx::PgPool;
use telecom_tests::api::{Api, event};
use telecom_tests::token::{Issuer, claims};
use telecom_tests::{GIB, NOW, World, at, user};
use tonic::Code;
use uuid::Uuid;

const AUDIT: &str = "/v1/admin/audit-entries";
const PARKED: &str = "/v1/admin/parked-events";
const RETRY: &str = "/v1/admin/parked-events/retry";
const RETRY_RPC: &str = "telecom.v1.OperationManage/RetryParkedEvents";

async fn api(pool: PgPool) -> Api {
    Api::over_both(World::new(pool).await, Issuer::default()).await
}

/// Sends a request with a body and an idempotency key, and returns status and body.
async fn send(
    api: &Api,
    token: &str,
    (method, path): (&str, &str),
    key: &str,
    body: &Value,
) -> (u16, Value) {
    let headers = [("idempotency-key", key)];
    let mut event = event(method, path, "", Some(token), &headers);
    event["body"] = json!(body.to_string());
    let response = api.send(event).await;
    let body = serde_json::from_slice(response.body()).unwrap_or(Value::Null);
    (response.status().as_u16(), body)
}

/// Makes a change as an administrator and returns the body of its response.
async fn change(api: &Api, method: &str, path: &str, body: Value) -> Value {
    let key = Uuid::new_v4().to_string();
    let token = api.issuer.admin();
    let (status, answer) = send(api, &token, (method, path), &key, &body).await;
    assert_eq!(status, 200, "{path}: {answer}");
    answer
}

async fn entries(api: &Api, query: &str) -> Vec<Value> {
    let token = api.issuer.sign(&claims(user(1), "telecom:admin.read"));
    let (status, body) = api.get(AUDIT, query, Some(&token)).await;
    assert_eq!(status, 200, "{body}");
    body["entries"].as_array().unwrap().clone()
}

/// Ids of the entries that match a query, in the order of the list.
async fn ids(api: &Api, query: &str) -> Vec<i64> {
    let entries = entries(api, query).await;
    entries.iter().map(|e| e["id"].as_i64().unwrap()).collect()
}

/// Inserts an entry at a time relative to [`NOW`].
async fn insert_entry(api: &Api, seconds: i64) -> i64 {
    let insert = "insert into telecom.audit_entry
        (created_at, actor_user_id, action, target_kind, target_id)
        values ($1, $2, 'AdjustQuota', 'package_item', '1') returning id";
    sqlx::query_scalar(insert)
        .bind(at(NOW) + TimeDelta::seconds(seconds))
        .bind(user(1))
        .fetch_one(&api.world.pool)
        .await
        .unwrap()
}

/// Parks usage of a user that is due in half an hour, and returns its id.
async fn park(api: &Api, of: Uuid) -> i64 {
    let insert = "insert into telecom.parked_event (user_id, bucket_start, node_server_id,
            node_client_id, raw_upload_bytes, raw_download_bytes, billed_upload_bytes,
            billed_download_bytes, reason, parked_at, attempts, retry_at)
        values ($1, '2026-03-10T10:00:00Z', 1, 11, 1, 2, 1, 2, 'locked: ', $2, 5,
            $2 + interval '30 minutes')
        returning id";
    sqlx::query_scalar(insert)
        .bind(of)
        .bind(at(NOW))
        .fetch_one(&api.world.pool)
        .await
        .unwrap()
}

async fn retry(api: &Api, selection: Value) -> Value {
    let mut body = selection;
    body["reason"] = json!("the lock is gone");
    change(api, "POST", RETRY, body).await
}

/// Number of events that are due, and of entries in the audit log.
async fn due_and_audited(api: &Api) -> (i64, i64) {
    let due = "select count(*) from telecom.parked_event
        where retry_at <= '2026-03-10T10:30:00Z'";
    let audited = "select count(*) from telecom.audit_entry";
    (api.world.number(due).await, api.world.number(audited).await)
}

/// Makes a change, or a read, of each kind that is audited.
async fn act_in_every_way(api: &Api) {
    let offer = json!({ "name": "Month", "available_group": 1, "max_client_number": 3,
        "duration_seconds": 2_592_000, "traffic_limit": GIB });
    let package = change(api, "POST", "/v1/admin/packages", offer).await["package"].clone();
    let why = || json!({ "reason": "test" });
    let order = "/v1/admin/orders/00000000-0000-4000-8000-000000000001";
    let ordered = json!({ "user": user(1), "series": package["series"], "amount": 2 });
    let items = change(api, "PUT", order, ordered).await["order"]["items"].clone();
    let item = |item: usize| format!("/v1/admin/package-queue/{}", items[item]);
    let raise = json!({ "bytes": 5, "reason": "test" });
    let adjustments = format!("{}/quota-adjustments", item(0));
    change(api, "POST", &adjustments, raise).await;
    change(api, "PUT", &format!("{}/cancellation", item(0)), why()).await;
    change(api, "PUT", &format!("{order}/cancellation"), why()).await;
    let package = format!("/v1/admin/packages/{}", package["id"]);
    change(api, "PUT", &format!("{package}/retirement"), why()).await;
    let maintenance = json!({ "maintenance": true, "reason": "test" });
    let server = "/v1/admin/node-servers/1";
    change(api, "PUT", &format!("{server}/maintenance"), maintenance).await;
    let keeper = api.issuer.admin_with_secrets();
    let shown = api.get(server, "reveal_secrets=true", Some(&keeper)).await;
    assert_eq!(shown.0, 200);
    park(api, user(1)).await;
    retry(api, json!({ "user": user(1) })).await;
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn an_entry_of_every_kind_of_action_is_listed_newest_first(pool: PgPool) {
    let api = api(pool).await;
    act_in_every_way(&api).await;
    let listed = entries(&api, "").await;
    let text = |entry: &Value, field: &str| entry[field].as_str().unwrap_or_default().to_owned();
    let actions: Vec<(String, String)> = listed
        .iter()
        .map(|entry| (text(entry, "action"), text(entry, "target_kind")))
        .collect();
    let expected = [
        ("RetryParkedEvents", "parked_usage"),
        ("RevealSecrets", "node_server"),
        ("SetNodeServerMaintenance", "node_server"),
        ("RetirePackage", "package"),
        ("CancelOrder", "order"),
        ("CancelQueuedPackage", "package_item"),
        ("AdjustQuota", "package_item"),
        ("DeliverOrder", "order"),
        ("CreatePackage", "package"),
    ]
    .map(|(action, kind)| (action.to_owned(), kind.to_owned()));
    assert_eq!(actions, expected);
    // Each entry is found by what it says.
    for entry in &listed {
        let query = format!(
            "actor={}&action={}&target_kind={}&target_id={}",
            text(entry, "actor_user_id"),
            text(entry, "action"),
            text(entry, "target_kind"),
            text(entry, "target_id")
        );
        assert_eq!(
            entries(&api, &query).await,
            std::slice::from_ref(entry),
            "{query}"
        );
    }
    let adjusted = &entries(&api, "action=AdjustQuota").await[0];
    assert_eq!(
        (
            &adjusted["before"]["adjust_quota"],
            &adjusted["after"]["adjust_quota"]
        ),
        (&json!(0), &json!(5))
    );
    assert_eq!(adjusted["reason"], "test");
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_range_includes_its_start_and_excludes_its_end(pool: PgPool) {
    let api = api(pool).await;
    let first = insert_entry(&api, 0).await;
    let second = insert_entry(&api, 1).await;
    insert_entry(&api, 2).await;
    let range = "start=2026-03-10T10:30:00Z&end=2026-03-10T10:30:02Z";
    assert_eq!(ids(&api, range).await, [second, first]);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn pages_by_the_last_id_show_each_entry_once_while_entries_are_added(pool: PgPool) {
    let api = api(pool).await;
    let mut there = Vec::new();
    // Two of the entries have the same time.
    for seconds in [0, 1, 1, 2, 3] {
        there.push(insert_entry(&api, seconds).await);
    }
    there.reverse();
    let mut read = ids(&api, "limit=2").await;
    while let Some(last) = read.last().filter(|_| read.len() < there.len()) {
        insert_entry(&api, 10).await;
        let page = ids(&api, &format!("limit=2&older_than={last}")).await;
        assert!(!page.is_empty(), "{read:?} of {there:?}");
        read.extend(page);
    }
    assert_eq!(read, there);
    let last = there.last().unwrap();
    assert!(ids(&api, &format!("older_than={last}")).await.is_empty());
    assert!(ids(&api, "older_than=4711").await.is_empty());
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_caller_without_the_scope_learns_nothing(pool: PgPool) {
    let api = api(pool).await;
    let id = insert_entry(&api, 0).await;
    let event = park(&api, user(1)).await;
    let token = api.issuer.user(user(1));
    let mut answers = Vec::new();
    for (path, query) in [
        (AUDIT, format!("older_than={id}")),
        (AUDIT, "older_than=4711".to_owned()),
        (AUDIT, "nonsense=1".to_owned()),
        (PARKED, format!("user={}", user(1))),
        (PARKED, format!("user={}", user(2))),
    ] {
        answers.push(api.get(path, &query, Some(&token)).await);
    }
    for answer in &answers {
        assert_eq!((answer.0, &answer.1), (403, &answers[0].1));
    }
    let mut refusals = Vec::new();
    for scope in ["", "telecom:admin.read", "telecom:secrets"] {
        let token = api.issuer.sign(&claims(user(1), scope));
        for body in [
            json!({ "ids": [event], "reason": "x" }),
            json!({ "ids": [4711], "reason": "x" }),
            json!({ "nonsense": 1 }),
        ] {
            refusals.push(send(&api, &token, ("POST", RETRY), "key", &body).await);
        }
        let message = json!({ "ids": [event], "reason": "x" });
        let refused = api.grpc(RETRY_RPC, message, Some(&token)).await;
        assert_eq!(
            refused.unwrap_err().code(),
            Code::PermissionDenied,
            "{scope}"
        );
    }
    for refusal in &refusals {
        assert_eq!((refusal.0, &refusal.1), (403, &refusals[0].1));
    }
    assert_eq!(due_and_audited(&api).await, (0, 1));
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_retried_event_is_charged_by_the_next_run_and_audited_with_its_user(pool: PgPool) {
    let api = api(pool).await;
    let package = api.world.package(GIB, 30).await;
    api.world.active_item(user(1), package).await;
    let [first, second] = [park(&api, user(1)).await, park(&api, user(2)).await];
    assert_eq!(api.world.bill().await.unparked, 0);
    let retried = retry(&api, json!({ "ids": [first, second, first] })).await;
    assert_eq!(retried, json!({ "retried": 2, "more": false }));
    let audited = entries(
        &api,
        &format!("target_kind=parked_usage&target_id={}", user(1)),
    )
    .await;
    let retry_at = |time: &str| json!({ "events": [{ "id": first, "retry_at": time }] });
    assert_eq!(
        (audited.len(), &audited[0]["before"], &audited[0]["after"]),
        (
            1,
            &retry_at("2026-03-10T11:00:00Z"),
            &retry_at("2026-03-10T10:30:00Z")
        )
    );
    assert_eq!(audited[0]["reason"], "the lock is gone");
    assert_eq!(due_and_audited(&api).await, (2, 2));
    assert_eq!(api.world.bill().await.unparked, 2);
    assert_eq!(
        api.world.items(user(1)).await,
        [("active".to_owned(), 1, 2)]
    );
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn events_that_are_due_unknown_or_charged_meanwhile_are_not_retried(pool: PgPool) {
    let api = api(pool).await;
    let nothing = json!({ "retried": 0, "more": false });
    assert_eq!(retry(&api, json!({ "ids": [4711] })).await, nothing);
    let id = park(&api, user(1)).await;
    let retried = retry(&api, json!({ "ids": [id, 4711] })).await;
    assert_eq!(retried["retried"], 1);
    assert_eq!(retry(&api, json!({ "ids": [id] })).await, nothing);
    assert_eq!(due_and_audited(&api).await, (1, 1));
    assert_eq!(api.world.bill().await.unparked, 1);
    for selection in [
        json!({ "ids": [id] }),
        json!({ "user": user(1) }),
        json!({ "all": true }),
    ] {
        assert_eq!(retry(&api, selection).await, nothing);
    }
    assert_eq!(due_and_audited(&api).await, (0, 1));
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn concurrent_retries_of_one_event_retry_and_audit_it_once(pool: PgPool) {
    let api = api(pool).await;
    let id = park(&api, user(1)).await;
    let calls = (0..8).map(|_| retry(&api, json!({ "ids": [id] })));
    let calls = futures::future::join_all(calls).await;
    let retried: i64 = calls.iter().map(|c| c["retried"].as_i64().unwrap()).sum();
    assert_eq!((retried, due_and_audited(&api).await), (1, (1, 1)));
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn an_event_that_the_billing_job_holds_is_left_to_the_job(pool: PgPool) {
    let api = api(pool).await;
    let id = park(&api, user(1)).await;
    let mut job = api.world.pool.begin().await.unwrap();
    sqlx::query("select from telecom.parked_event for update")
        .execute(&mut *job)
        .await
        .unwrap();
    let retried = retry(&api, json!({ "ids": [id] })).await;
    assert_eq!(retried["retried"], 0);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_call_retries_a_thousand_events_and_says_whether_there_are_more(pool: PgPool) {
    let api = api(pool).await;
    park(&api, user(1)).await;
    let copies = "insert into telecom.parked_event (user_id, bucket_start, node_server_id,
            raw_upload_bytes, raw_download_bytes, billed_upload_bytes, billed_download_bytes,
            reason, parked_at, retry_at)
        select user_id, bucket_start, node_server_id, 1, 1, 1, 1, reason, parked_at, retry_at
        from telecom.parked_event, generate_series(1, 1000)";
    api.world.sql(copies).await;
    for (selection, retried, more) in [
        (json!({ "user": user(2) }), 0, false),
        (json!({ "user": user(1) }), 1_000, true),
        (json!({ "all": true }), 1, false),
    ] {
        let answer = retry(&api, selection).await;
        assert_eq!(answer, json!({ "retried": retried, "more": more }));
    }
    let token = api.issuer.admin();
    let (_, list) = api.get(PARKED, "limit=1&offset=1000", Some(&token)).await;
    assert_eq!(
        (list["events"].as_array().unwrap().len(), &list["total"]),
        (1, &json!(1_001))
    );
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn events_are_selected_in_exactly_one_valid_way(pool: PgPool) {
    let api = api(pool).await;
    let token = api.issuer.admin();
    for (selection, field) in [
        (json!({}), "ids"),
        (json!({ "ids": [] }), "ids"),
        (json!({ "ids": [0] }), "ids"),
        (json!({ "ids": [1], "all": true }), "ids"),
        (json!({ "ids": vec![1; 1_001] }), "ids"),
        (json!({ "user": user(1), "all": true }), "ids"),
        (json!({ "all": true, "reason": " " }), "reason"),
    ] {
        let mut body = json!({ "reason": "x" });
        body.as_object_mut()
            .unwrap()
            .extend(selection.as_object().unwrap().clone());
        let (status, problem) = send(&api, &token, ("POST", RETRY), "key", &body).await;
        assert_eq!(
            (status, &problem["code"], &problem["field"]),
            (400, &json!("invalid_parameter"), &json!(field)),
            "{problem}"
        );
    }
}
