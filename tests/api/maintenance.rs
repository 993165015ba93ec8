//! Maintenance: set and lifted by an administrator alone, logged with who and why; and what it means for availability.

use chrono::TimeDelta;
use serde_json::{Value, json};
use shared::services::Processor;
use shared::services::cron::Run;
use shared::services::cron::refresh_server_status::RefreshServerStatus;
use sqlx::PgPool;
use telecom_tests::api::Api;
use telecom_tests::report::report_of;
use telecom_tests::token::{Issuer, claims};
use telecom_tests::{GIB, NOW, World, at, user};
use tonic::Code;
use uuid::Uuid;

const PATH: &str = "/v1/admin/node-servers/1/maintenance";

struct Story {
    api: Api,
    minutes: i64,
}

impl Story {
    async fn begin(pool: PgPool) -> Self {
        let world = World::new(pool).await;
        world.server(2, &[]).await;
        world.sql("update telecom.node_client set access_groups = '{1}'").await;
        let package = world.package(GIB, 30).await;
        world.active_item(user(1), package).await;
        let mut story = Self { api: Api::over_http(world), minutes: 0 };
        story.pass(1, &[1, 2]).await;
        story
    }

    /// Lets minutes pass, in each of which `alive` servers report and statuses are refreshed.
    async fn pass(&mut self, minutes: i64, alive: &[i32]) {
        for _ in 0..minutes {
            let now = at(NOW) + TimeDelta::minutes(self.minutes);
            self.api.world.clock.set(now);
            let bodies: Vec<String> = alive
                .iter()
                .map(|&server| {
                    let mut body = report_of(0, server, now, &[]);
                    body["report_id"] = json!(Uuid::new_v4());
                    body.to_string()
                })
                .collect();
            assert!(self.api.world.report(&bodies).await.is_empty());
            self.api.world.cron().process(RefreshServerStatus(Run::default())).await.unwrap();
            self.minutes += 1;
        }
    }

    fn admin(&self) -> String {
        let mut claims = claims(Uuid::from_u128(7), "telecom:admin");
        claims["exp"] = json!(self.api.world.context().now().timestamp() + 60);
        self.api.issuer.sign(&claims)
    }

    async fn set(&self, maintenance: bool, reason: &str) -> (u16, Value) {
        let body = json!({ "maintenance": maintenance, "reason": reason }).to_string();
        self.api.put(PATH, "", &body, Some(&self.admin())).await
    }

    /// Seconds online, offline, in maintenance and unknown, and the availability, over all minutes of the story.
    async fn availability(&self, path: &str, token: &str) -> Value {
        let end = self.api.world.context().now().to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true);
        let (status, answer) = self.api.get(path, &format!("start={NOW}&end={end}"), Some(token)).await;
        assert_eq!(status, 200, "{answer}");
        let of = if answer["availability"].is_array() { answer["availability"][0].clone() } else { answer };
        let names = ["online_seconds", "offline_seconds", "maintenance_seconds", "unknown_seconds", "availability"];
        Value::Array(names.map(|name| of[name].clone()).to_vec())
    }
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn maintenance_is_immune_to_heartbeats_and_silence_and_a_repeat_changes_nothing(pool: PgPool) {
    let mut story = Story::begin(pool).await;
    assert_eq!(story.set(true, "new disk").await, (200, json!({ "id": 1, "status": "maintenance", "changed": true })));
    assert_eq!(story.set(true, "again").await, (200, json!({ "id": 1, "status": "maintenance", "changed": false })));
    story.pass(3, &[1, 2]).await;
    story.pass(10, &[2]).await;
    let status =
        story.api.get("/v1/admin/node-servers/1", "", Some(&story.admin())).await.1["server"]["status"].clone();
    assert_eq!(status, "maintenance");
    // Lifted, it is judged at once: it was silent for ten minutes.
    assert_eq!(story.set(false, "done").await, (200, json!({ "id": 1, "status": "offline", "changed": true })));
    story.pass(1, &[1, 2]).await;
    let log: Vec<(String, Option<Uuid>, Option<String>)> = sqlx::query_as(
        "select to_status::text, actor_user_id, reason from telecom.node_status_transition where node_server_id = 1 order by id",
    )
    .fetch_all(&story.api.world.pool)
    .await
    .unwrap();
    let by = |to: &str, reason: &str| (to.to_owned(), Some(Uuid::from_u128(7)), Some(reason.to_owned()));
    let itself = |to: &str| (to.to_owned(), None, None);
    assert_eq!(
        log,
        [itself("offline"), itself("online"), by("maintenance", "new disk"), by("offline", "done"), itself("online")]
    );
    let facts: Vec<String> = story.api.world.facts().await.into_iter().map(|(kind, _)| kind).collect();
    assert_eq!(facts[2..], ["NodeServerWentOffline", "NodeServerCameOnline"]);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn an_outage_of_20_minutes_between_two_snapshots_is_in_the_availability(pool: PgPool) {
    let mut story = Story::begin(pool).await;
    // 10:30 + 1; alive until 10:40, silent for 20 minutes, then alive until 11:20.
    story.pass(10, &[1, 2]).await;
    story.pass(19, &[2]).await;
    story.pass(21, &[1, 2]).await;
    let expected = json!([30 * 60, 20 * 60, 0, 0, 0.6]);
    let (admin, path) = (story.admin(), "/v1/admin/node-servers/1/availability");
    assert_eq!(story.availability(path, &admin).await, expected);
    let mut claims = claims(user(1), "");
    claims["exp"] = json!(story.api.world.context().now().timestamp() + 60);
    let token = story.api.issuer.sign(&claims);
    assert_eq!(story.availability("/v1/node-status-history", &token).await, expected);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn maintenance_and_what_nobody_could_know_are_apart(pool: PgPool) {
    let mut story = Story::begin(pool).await;
    story.pass(10, &[1, 2]).await;
    story.set(true, "move").await;
    story.pass(10, &[1, 2]).await;
    story.set(false, "moved").await;
    story.pass(10, &[1, 2]).await;
    // Nobody is heard for 30 minutes, then everybody.
    story.pass(29, &[]).await;
    story.pass(1, &[1, 2]).await;
    let path = "/v1/admin/node-servers/1/availability";
    assert_eq!(story.availability(path, &story.admin()).await, json!([20 * 60, 0, 10 * 60, 30 * 60, 1.0]));
    // Before anything was recorded nothing is known, and nothing that is still to come is counted.
    let (_, answer) =
        story.api.get(path, "start=2026-03-10T09:30:00Z&end=2026-03-12T00:00:00Z", Some(&story.admin())).await;
    assert_eq!((&answer["unknown_seconds"], &answer["end"]), (&json!(90 * 60), &json!("2026-03-10T11:30:00Z")));
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn bad_bodies_and_strangers_are_refused_on_both_transports(pool: PgPool) {
    let api = Api::over_both(World::new(pool).await, Issuer::default()).await;
    let admin = api.issuer.admin();
    for (body, code, field) in [
        ("", "malformed_json", "."),
        ("{", "malformed_json", "."),
        ("[]", "invalid_field", "."),
        (r#"{"maintenance": true}"#, "invalid_field", "reason"),
        (r#"{"reason": "x"}"#, "invalid_field", "maintenance"),
        (r#"{"maintenance": true, "reason": "x", "until": 1}"#, "invalid_field", "until"),
        (r#"{"maintenance": "yes", "reason": "x"}"#, "invalid_field", "maintenance"),
        (r#"{"maintenance": true, "reason": ""}"#, "invalid_parameter", "reason"),
        ("{\"maintenance\": true, \"reason\": \"a\\u0000b\"}", "invalid_parameter", "reason"),
    ] {
        let (status, problem) = api.put(PATH, "", body, Some(&admin)).await;
        assert_eq!(
            (status, &problem["code"], &problem["field"]),
            (400, &json!(code), &json!(field)),
            "{body}: {problem}"
        );
    }
    let body = r#"{"maintenance": true, "reason": "x"}"#;
    assert_eq!(api.put(PATH, "", body, Some(&api.issuer.user(user(1)))).await.0, 403);
    assert_eq!(api.put("/v1/admin/node-servers/404/maintenance", "", body, Some(&admin)).await.0, 404);
    assert_eq!(api.get(PATH, "", Some(&admin)).await.0, 405);
    let method = "telecom.v1.NodeServerManage/SetNodeServerMaintenance";
    for (message, code) in [
        (json!({ "id": 1, "maintenance": true, "reason": "x".repeat(501) }), Code::InvalidArgument),
        (json!({ "id": 1, "maintenance": true }), Code::InvalidArgument),
        (json!({ "id": 404, "maintenance": true, "reason": "x" }), Code::NotFound),
    ] {
        assert_eq!(api.grpc(method, message, Some(&admin)).await.unwrap_err().code(), code);
    }
    let done = api.grpc(method, json!({ "id": 1, "maintenance": true, "reason": "x" }), Some(&admin)).await.unwrap();
    assert_eq!((&done["status"], &done["changed"]), (&json!("NODE_SERVER_STATUS_MAINTENANCE"), &json!(true)));
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn with_another_package_a_user_sees_other_nodes(pool: PgPool) {
    let mut story = Story::begin(pool).await;
    story.api.world.server(3, &[(31, "1")]).await;
    story.api.world.sql("update telecom.node_client set access_groups = '{2}' where id = 31").await;
    story.pass(1, &[1, 2, 3]).await;
    let ids = async |story: &Story| {
        let mut claims = claims(user(1), "");
        claims["exp"] = json!(story.api.world.context().now().timestamp() + 60);
        let token = story.api.issuer.sign(&claims);
        let nodes = story.api.get("/v1/nodes", "", Some(&token)).await.1["nodes"][0]["id"].clone();
        let history = story.api.get("/v1/node-status-history", "", Some(&token)).await.1;
        (nodes, history["availability"][0]["node_client_id"].clone())
    };
    assert_eq!(ids(&story).await, (json!(11), json!(11)));
    story.api.world.sql("update telecom.package set available_group = 2").await;
    assert_eq!(ids(&story).await, (json!(31), json!(31)));
    story
        .api
        .world
        .sql("update telecom.package_queue set status = 'cancelled', ended_at = now(), end_reason = 'cancelled'")
        .await;
    assert_eq!(ids(&story).await, (Value::Null, Value::Null));
}
