//! Changes of packages and of users' packages: each once, in one transaction with its audit entry,
//! its facts and its answer.

use serde_json::{Value, json};
use sqlx::PgPool;
use telecom_tests::api::Api;
use telecom_tests::token::Issuer;
use telecom_tests::{NOW, World, at, user};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;
use uuid::Uuid;

const GIB: i64 = 1 << 30;

async fn api(pool: PgPool) -> Api {
    Api::over_both(World::new(pool).await, Issuer::default()).await
}

/// Sends a request with a body and an idempotency key, and returns status and body.
async fn send(
    api: &Api,
    method: &str,
    path: &str,
    key: Option<&str>,
    body: &Value,
) -> (u16, Value) {
    let key = key.map(|key| ("idempotency-key", key));
    api.change(method, path, key.as_slice(), body).await
}

fn offer(name: &str) -> Value {
    json!({ "name": name, "available_group": 1, "max_client_number": 3,
        "duration_seconds": 2_592_000, "traffic_limit": 10 * GIB })
}

/// Creates a package and returns it.
async fn create(api: &Api, key: &str, body: &Value) -> Value {
    let (status, body) = send(api, "POST", "/v1/admin/packages", Some(key), body).await;
    assert_eq!(status, 200, "{body}");
    body["package"].clone()
}

async fn create_over_grpc(api: &Api, key: &str, message: &Value) -> Result<Value, Status> {
    let method = "telecom.v1.PackageManage/CreatePackage";
    api.change_over_grpc(method, &[("idempotency-key", key)], message)
        .await
}

async fn order(api: &Api, order: Uuid, series: &Value, amount: i32) -> (u16, Value) {
    let body = json!({ "user": user(1), "series": series, "amount": amount });
    send(
        api,
        "PUT",
        &format!("/v1/admin/orders/{order}"),
        None,
        &body,
    )
    .await
}

async fn cancel(api: &Api, what: &str) -> (u16, Value) {
    let path = format!("/v1/admin/{what}/cancellation");
    send(api, "PUT", &path, None, &json!({ "reason": "refund" })).await
}

async fn adjust(api: &Api, item: &Value, key: &str, bytes: i64) -> (u16, Value) {
    let path = format!("/v1/admin/package-queue/{item}/quota-adjustments");
    let body = json!({ "bytes": bytes, "reason": "support" });
    send(api, "POST", &path, Some(key), &body).await
}

async fn fact_names(api: &Api) -> Vec<String> {
    let facts = api.world.facts().await;
    facts.into_iter().map(|(name, _)| name).collect()
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn orders_deliver_the_master_of_a_series_and_versions_never_change(pool: PgPool) {
    let api = api(pool).await;
    let first = create(&api, "a", &offer("Month")).await;
    assert_eq!(
        (&first["version"], &first["is_master"]),
        (&json!(1), &json!(true))
    );
    let mut next = offer("Month, larger");
    next["series"] = first["series"].clone();
    let second = create(&api, "b", &next).await;
    assert_eq!(
        (&second["version"], &second["is_master"]),
        (&json!(2), &json!(false))
    );

    let (status, delivered) = order(&api, Uuid::from_u128(1), &first["series"], 1).await;
    assert_eq!(
        (status, &delivered["order"]["package_id"]),
        (200, &first["id"])
    );
    let path = format!("/v1/admin/packages/{}/master", second["id"]);
    let (_, master) = send(&api, "PUT", &path, None, &json!({ "reason": "larger" })).await;
    assert_eq!(master["package"]["is_master"], true);
    let (_, delivered) = order(&api, Uuid::from_u128(2), &first["series"], 1).await;
    assert_eq!(delivered["order"]["package_id"], second["id"]);

    let path = format!("/v1/admin/packages/{}/retirement", second["id"]);
    let (status, _) = send(&api, "PUT", &path, None, &json!({ "reason": "old" })).await;
    assert_eq!(status, 200);
    let (status, refused) = order(&api, Uuid::from_u128(3), &first["series"], 1).await;
    assert_eq!((status, &refused["code"]), (400, &json!("series_not_sold")));

    let (_, list) = api
        .get("/v1/admin/package-series", "", Some(&api.issuer.admin()))
        .await;
    let versions = list["series"][0]["versions"].as_array().unwrap();
    let versions: Vec<&Value> = versions.iter().map(|version| &version["version"]).collect();
    assert_eq!(
        (versions, &list["total"]),
        (vec![&json!(2), &json!(1)], &json!(1))
    );
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn an_order_is_delivered_once_and_its_id_stands_for_one_order(pool: PgPool) {
    let api = api(pool).await;
    let series = create(&api, "a", &offer("Month")).await["series"].clone();
    let id = Uuid::from_u128(1);
    let orders = futures::future::join_all((0..4).map(|_| order(&api, id, &series, 3))).await;
    let items = &orders[0].1["order"]["items"];
    assert_eq!(items.as_array().unwrap().len(), 3);
    let changed: Vec<&Value> = orders.iter().map(|(_, order)| &order["changed"]).collect();
    assert_eq!(
        changed
            .iter()
            .filter(|changed| ***changed == json!(true))
            .count(),
        1
    );
    assert!(
        orders
            .iter()
            .all(|(status, order)| *status == 200 && order["order"]["items"] == *items)
    );
    assert_eq!(
        api.world.item_statuses(user(1)).await,
        ["active", "in_queue", "in_queue"]
    );
    assert_eq!(
        fact_names(&api).await,
        ["PackageDelivered", "PackageActivated"]
    );
    let (status, refused) = order(&api, id, &series, 2).await;
    assert_eq!((status, &refused["code"]), (409, &json!("order_id_reused")));
    for (amount, status) in [(0, 400), (121, 400)] {
        assert_eq!(
            order(&api, Uuid::from_u128(2), &series, amount).await.0,
            status
        );
    }
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn orders_of_one_user_at_once_activate_one_item(pool: PgPool) {
    let api = api(pool).await;
    let series = create(&api, "a", &offer("Month")).await["series"].clone();
    let orders = (0..6).map(|number| order(&api, Uuid::from_u128(number), &series, 2));
    let orders = futures::future::join_all(orders).await;
    assert!(
        orders.iter().all(|(status, _)| *status == 200),
        "{orders:?}"
    );
    let statuses = api.world.item_statuses(user(1)).await;
    let active = statuses.iter().filter(|status| *status == "active").count();
    assert_eq!((statuses.len(), active), (12, 1));
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_cancelled_order_ends_its_items_and_the_next_one_becomes_active(pool: PgPool) {
    let api = api(pool).await;
    let series = create(&api, "a", &offer("Month")).await["series"].clone();
    let (first, second) = (Uuid::from_u128(1), Uuid::from_u128(2));
    order(&api, first, &series, 2).await;
    order(&api, second, &series, 1).await;
    let (status, cancelled) = cancel(&api, &format!("orders/{first}")).await;
    assert_eq!((status, &cancelled["changed"]), (200, &json!(true)));
    assert_eq!(
        api.world.item_statuses(user(1)).await,
        ["cancelled", "cancelled", "active"]
    );
    let (_, repeated) = cancel(&api, &format!("orders/{first}")).await;
    assert_eq!(repeated["changed"], false);
    // A delivery of the cancelled order that is late changes nothing.
    let (status, late) = order(&api, first, &series, 2).await;
    assert_eq!((status, &late["changed"]), (200, &json!(false)));
    let names = fact_names(&api).await;
    let cancelled = names
        .iter()
        .filter(|name| *name == "PackageCancelled")
        .count();
    assert_eq!(
        (cancelled, names.last().unwrap().as_str()),
        (2, "PackageActivated")
    );
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn an_order_that_is_cancelled_before_it_arrives_delivers_nothing(pool: PgPool) {
    let api = api(pool).await;
    let series = create(&api, "a", &offer("Month")).await["series"].clone();
    let id = Uuid::from_u128(1);
    let (status, cancelled) = cancel(&api, &format!("orders/{id}")).await;
    assert_eq!((status, &cancelled["order"]["user"]), (200, &Value::Null));
    let (status, late) = order(&api, id, &series, 2).await;
    assert_eq!((status, &late["changed"]), (200, &json!(false)));
    assert!(api.world.item_statuses(user(1)).await.is_empty());
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_cancelled_item_is_replaced_and_an_ended_one_cannot_be_changed(pool: PgPool) {
    let api = api(pool).await;
    let package = api.world.package(GIB, 30).await;
    let active = json!(api.world.active_item(user(1), package).await);
    let waiting = json!(api.world.waiting_item(user(1), package).await);
    let (status, cancelled) = cancel(&api, &format!("package-queue/{active}")).await;
    assert_eq!(
        (status, &cancelled["package"]["status"]),
        (200, &json!("cancelled"))
    );
    assert_eq!(
        api.world.item_statuses(user(1)).await,
        ["cancelled", "active"]
    );
    let (_, repeated) = cancel(&api, &format!("package-queue/{active}")).await;
    assert_eq!(repeated["changed"], false);
    // A quota below what was used consumes the item at once.
    let (_, lowered) = adjust(&api, &waiting, "lower", -GIB).await;
    assert_eq!(lowered["package"]["status"], "consumed");
    for (status, refused) in [
        adjust(&api, &waiting, "raise", 1).await,
        cancel(&api, &format!("package-queue/{waiting}")).await,
    ] {
        assert_eq!((status, &refused["code"]), (409, &json!("item_ended")));
    }
    let names = fact_names(&api).await;
    assert_eq!(
        names,
        [
            "PackageCancelled",
            "PackageActivated",
            "QuotaAdjusted",
            "PackageExpired",
            "PackageQueueEmptied"
        ]
    );
    let entries = api.world.audited().await;
    assert_eq!(entries[0][0], "CancelQueuedPackage");
    assert_eq!(entries[0][3]["status"], "cancelled");
    assert_eq!(entries[1][2]["adjust_quota"], 0);
    assert_eq!(entries[1][3]["adjust_quota"], -GIB);
    assert_eq!(entries[1][4], "support");
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_raised_quota_is_charged_and_announced_again(pool: PgPool) {
    let api = api(pool).await;
    let package = api.world.package(1_000, 30).await;
    let item = json!(api.world.active_item(user(1), package).await);
    let body = telecom_tests::report::report_of(1, 1, at(NOW), &[(user(1), 0, 900)]);
    api.world.assert_reports_accepted(&[body.to_string()]).await;
    api.world.deliver_all().await;
    let (_, raised) = adjust(&api, &item, "raise", 9_000).await;
    assert_eq!(
        (
            &raised["package"]["quota"],
            &raised["package"]["quota_left"]
        ),
        (&json!(10_000), &json!(9_100))
    );
    let body = telecom_tests::report::report_of(2, 1, at(NOW), &[(user(1), 0, 4_200)]);
    api.world.assert_reports_accepted(&[body.to_string()]).await;
    api.world.deliver_all().await;
    let reached: Vec<Value> = api
        .world
        .facts()
        .await
        .into_iter()
        .filter(|(name, _)| name == "QuotaThresholdReached")
        .map(|(_, fact)| fact["percent"].clone())
        .collect();
    assert_eq!(reached, [json!(50), json!(80), json!(50)]);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_change_whose_audit_entry_cannot_be_written_does_not_happen(pool: PgPool) {
    let api = api(pool).await;
    let package = api.world.package(GIB, 30).await;
    let item = json!(api.world.active_item(user(1), package).await);
    api.world
        .sql("alter table telecom.audit_entry rename to moved")
        .await;
    assert_eq!(adjust(&api, &item, "raise", 5).await.0, 500);
    api.world
        .sql("alter table telecom.moved rename to audit_entry")
        .await;
    let adjusted = "select adjust_quota_bytes from telecom.package_queue";
    let answers = "select count(*) from telecom.answered_call";
    let outbox = "select count(*) from telecom.outbox";
    for count in [adjusted, answers, outbox] {
        assert_eq!(api.world.number(count).await, 0, "{count}");
    }
    // The key was not used up.
    assert_eq!(adjust(&api, &item, "raise", 5).await.0, 200);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_package_with_a_bad_field_is_refused_on_both_transports(pool: PgPool) {
    let api = api(pool).await;
    for (field, bad) in [
        ("name", json!("")),
        ("name", json!("x".repeat(201))),
        ("available_group", json!(-1)),
        ("max_client_number", json!(0)),
        ("duration_seconds", json!(0)),
        ("duration_seconds", json!(3_155_760_001_i64)),
        ("traffic_limit", json!(-1)),
        ("traffic_limit", json!((1_i64 << 60) + 1)),
        ("traffic_limit", Value::Null),
    ] {
        let mut body = offer("Month");
        body[field] = bad;
        let (status, problem) = send(&api, "POST", "/v1/admin/packages", Some("k"), &body).await;
        assert_eq!(
            (status, &problem["code"], &problem["field"]),
            (400, &json!("invalid_parameter"), &json!(field)),
            "{body}"
        );
        let refused = create_over_grpc(&api, "k", &body).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{body}");
        let named = refused.get_details_bad_request().unwrap().field_violations;
        assert_eq!(named[0].field, field);
    }
    let mut unlimited = offer("Endless");
    unlimited["traffic_limit"] = Value::Null;
    unlimited["unlimited"] = json!(true);
    assert_eq!(
        create(&api, "k", &unlimited).await["traffic_limit"],
        Value::Null
    );
    let mut unknown = offer("Next");
    unknown["series"] = json!(Uuid::from_u128(77));
    let (status, problem) = send(&api, "POST", "/v1/admin/packages", Some("l"), &unknown).await;
    assert_eq!((status, &problem["code"]), (404, &json!("not_found")));
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn ids_of_rows_that_were_inserted_by_hand_are_skipped(pool: PgPool) {
    let api = api(pool).await;
    let by_hand = "insert into telecom.package (id, series, version, name, available_group,
        max_client_number, expire_duration_seconds, traffic_limit_bytes)
        values (1, gen_random_uuid(), 1, 'by hand', 1, 1, 1, 1)";
    api.world.sql(by_hand).await;
    assert_eq!(create(&api, "a", &offer("Month")).await["id"], 2);
}
