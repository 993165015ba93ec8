//! The operations on webhooks.

use serde_json::{Value, json};
use shared::config::TelecomConfig;
use shared::domain::webhook::WebhookSettings;
use shared::events::facts::FactType;
use shared::services::Processor;
use shared::services::change::Requested;
use shared::services::manage::{CreateWebhook, ManageService};
use sqlx::PgPool;
use strum::VariantNames;
use telecom_tests::api::Api;
use telecom_tests::{World, actor};

const PATH: &str = "/v1/admin/webhooks";
const KEY: &str = "idempotency-key";

async fn create(api: &Api, key: &str, body: &Value) -> (u16, Value) {
    api.change("POST", PATH, &[(KEY, key)], body).await
}

fn body(url: &str) -> Value {
    json!({ "url": url, "description": "shop", "event_types": ["PackageExpired"] })
}

async fn get(api: &Api, path: &str, query: &str) -> Value {
    let (status, body) = api.get(path, query, Some(&api.issuer.admin())).await;
    assert_eq!(status, 200, "{body}");
    body
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_secret_is_shown_by_its_creation_and_its_rotation_only(pool: PgPool) {
    let api = Api::over_http(World::new(pool).await);
    let (status, created) = create(&api, "1", &body("https://hooks.example.com/a")).await;
    assert_eq!(status, 200, "{created}");
    let secret = created["secret"].as_str().unwrap();
    assert!(secret.starts_with("whsec_"), "{created}");
    assert_eq!(created["webhook"]["event_types"], json!(["PackageExpired"]));
    let (_, repeated) = create(&api, "1", &body("https://hooks.example.com/a")).await;
    assert_eq!(repeated["secret"], Value::Null);
    assert_eq!(repeated["webhook"], created["webhook"]);

    let id = created["webhook"]["id"].as_str().unwrap();
    let path = format!("{PATH}/{id}/secret/rotation");
    let reason = json!({ "reason": "published", "overlap_seconds": 600 });
    let (status, rotated) = api.change("POST", &path, &[(KEY, "2")], &reason).await;
    assert_eq!(status, 200, "{rotated}");
    let new = rotated["secret"].as_str().unwrap();
    assert_ne!(new, secret);
    let until = &rotated["webhook"]["previous_secret_until"];
    assert_eq!(until, "2026-03-10T10:40:00Z");

    let listed = get(&api, PATH, "").await;
    assert_eq!(
        (&listed["total"], &listed["webhooks"][0]),
        (&json!(1), &rotated["webhook"])
    );
    let audit = get(&api, "/v1/admin/audit-entries", "").await;
    assert_eq!(audit["total"], 2);
    for shown in [listed, audit] {
        let shown = shown.to_string();
        assert!(
            !shown.contains(&secret[6..]) && !shown.contains(&new[6..]),
            "{shown}"
        );
    }
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_disabled_webhook_is_listed_on_request_and_not_rotated(pool: PgPool) {
    let api = Api::over_http(World::new(pool).await);
    let (_, created) = create(&api, "1", &body("https://hooks.example.com/a")).await;
    let path = format!("{PATH}/{}", created["webhook"]["id"].as_str().unwrap());
    let reason = json!({ "reason": "moved" });
    let (status, disabled) = api
        .change("PUT", &format!("{path}/disablement"), &[], &reason)
        .await;
    assert_eq!(
        (status, &disabled["webhook"]["disabled_by"]),
        (200, &json!("requested"))
    );
    assert_eq!(get(&api, PATH, "").await["total"], 0);
    let listed = get(&api, PATH, "include_disabled=true").await;
    assert_eq!(listed["webhooks"], json!([disabled["webhook"]]));
    let rotation = format!("{path}/secret/rotation");
    let (status, refused) = api.change("POST", &rotation, &[(KEY, "2")], &reason).await;
    assert_eq!(
        (status, &refused["code"]),
        (409, &json!("webhook_disabled"))
    );
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_webhook_is_shown_by_its_id_also_after_it_was_disabled(pool: PgPool) {
    let api = Api::over_http(World::new(pool).await);
    let (_, created) = create(&api, "1", &body("https://hooks.example.com/a")).await;
    let path = format!("{PATH}/{}", created["webhook"]["id"].as_str().unwrap());
    let shown = json!({ "webhook": created["webhook"] });
    assert_eq!(get(&api, &path, "").await, shown);
    let disablement = format!("{path}/disablement");
    let reason = json!({ "reason": "moved" });
    let (_, disabled) = api.change("PUT", &disablement, &[], &reason).await;
    assert_eq!(get(&api, &path, "").await, disabled);

    let unknown = format!("{PATH}/00000000-0000-4000-8000-0000000000ee");
    let (status, problem) = api.get(&unknown, "", Some(&api.issuer.admin())).await;
    assert_eq!((status, &problem["code"]), (404, &json!("not_found")));
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn urls_types_and_descriptions_are_validated(pool: PgPool) {
    let api = Api::over_http(World::new(pool).await);
    let valid = body("https://hooks.example.com/a");
    for (field, value, named) in [
        ("url", json!("http://hooks.example.com/"), "url"),
        ("url", json!("https://10.0.0.7/"), "url"),
        ("url", json!("https://localhost/"), "url"),
        ("url", json!(""), "url"),
        ("description", json!(" "), "description"),
        ("description", json!("a".repeat(201)), "description"),
        (
            "event_types",
            json!(["PackageExpired", "Nothing"]),
            "event_types[1]",
        ),
        (
            "event_types",
            json!(vec!["PackageExpired"; 101]),
            "event_types",
        ),
    ] {
        let mut changed = valid.clone();
        changed[field] = value;
        let (status, problem) = create(&api, "1", &changed).await;
        assert_eq!(status, 400, "{changed}: {problem}");
        assert_eq!(problem["field"], named, "{changed}: {problem}");
        if named == "event_types[1]" {
            let text = problem.to_string();
            assert!(
                FactType::VARIANTS.iter().all(|known| text.contains(known)),
                "{text}"
            );
        }
    }
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn at_most_fifty_webhooks_receive_facts(pool: PgPool) {
    let api = Api::over_http(World::new(pool).await);
    let fill = "insert into telecom.webhook (id, url, description, sealed_secret, created_at)
        select gen_random_uuid(), 'https://a.example/', 'a', '', now()
        from generate_series(1, 49)";
    api.world.sql(fill).await;
    let body = body("https://hooks.example.com/a");
    let (one, other) = tokio::join!(create(&api, "1", &body), create(&api, "2", &body));
    let mut statuses = [one.0, other.0];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409]);
    api.world
        .sql("update telecom.webhook set disabled_at = now(), disabled_by = 'gone'")
        .await;
    assert_eq!(create(&api, "3", &body).await.0, 200);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn without_a_key_no_webhook_is_created(pool: PgPool) {
    let world = World::new(pool).await;
    let service = ManageService::new(world.api.clone(), world.context(), TelecomConfig::default());
    let settings = WebhookSettings {
        url: "https://hooks.example.com/".to_owned(),
        description: "shop".to_owned(),
        event_types: vec![],
    };
    let create = Requested::by(actor(1), CreateWebhook { settings });
    let error = service.process(create).await.unwrap_err();
    assert_eq!(error.code(), "webhooks_not_enabled");
    assert_eq!(
        world.number("select count(*) from telecom.webhook").await,
        0
    );
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn deliveries_are_listed_by_state_and_sent_again(pool: PgPool) {
    let api = Api::over_http(World::new(pool).await);
    let (_, created) = create(&api, "1", &body("https://hooks.example.com/a")).await;
    let path = format!(
        "{PATH}/{}/deliveries",
        created["webhook"]["id"].as_str().unwrap()
    );
    api.world.publish("PackageExpired", 1..=3).await;
    api.world
        .sql("update telecom.webhook_delivery set status = 'failed', attempts = 9 where id = 2")
        .await;
    let ids = async |query: &str| -> Vec<i64> {
        let listed = get(&api, &path, query).await;
        let deliveries = listed["deliveries"].as_array().unwrap().iter();
        deliveries.map(|one| one["id"].as_i64().unwrap()).collect()
    };
    assert_eq!(ids("").await, [3, 2, 1]);
    assert_eq!(ids("limit=1&offset=1").await, [2]);
    assert_eq!(ids("status=failed").await, [2]);
    assert_eq!(ids("status=pending").await, [3, 1]);

    let again = "/v1/admin/webhook-deliveries/2/redelivery";
    let reason = json!({ "reason": "repaired" });
    let (status, shown) = api.change("POST", again, &[(KEY, "2")], &reason).await;
    assert_eq!(status, 200, "{shown}");
    let delivery = &shown["delivery"];
    assert_eq!(
        (
            &delivery["status"],
            &delivery["attempts"],
            &delivery["next_attempt_at"]
        ),
        (&json!("pending"), &json!(0), &json!("2026-03-10T10:30:00Z"))
    );
    assert_eq!(ids("status=failed").await, [0; 0]);
}
