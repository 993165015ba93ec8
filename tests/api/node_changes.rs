//! Changes of node servers and node clients: no update is lost, archived ones are out of use, and
//! no secret leaves the database.

use serde_json::{Value, json};
use shared::services::Processor;
use shared::services::cron::Run;
use shared::services::cron::refresh_server_status::RefreshServerStatus;
use sqlx::PgPool;
use telecom_tests::api::{Api, event};
use telecom_tests::report::{report_of, with};
use telecom_tests::token::Issuer;
use telecom_tests::{NOW, World, at, message_id, user};
use uuid::Uuid;

const SERVERS: &str = "/v1/admin/node-servers";
const CLIENTS: &str = "/v1/admin/node-clients";
const LATER: &str = "2026-03-10T10:40:00Z";

async fn create(api: &Api, path: &str, key: &str, body: &Value) -> Value {
    let (status, body) = api
        .change("POST", path, &[("idempotency-key", key)], body)
        .await;
    assert_eq!(status, 200, "{body}");
    body
}

/// A server and a client of it in group 1, both created by calls.
struct Fleet {
    api: Api,
    id: i32,
    client_id: i32,
    server: String,
    client: String,
}

impl Fleet {
    async fn new(pool: PgPool) -> Self {
        let api = Api::over_both(World::new(pool).await, Issuer::default()).await;
        let config = json!({ "server_port": 443, "server_key": "very secret" });
        let server = json!({ "name": "fra-1", "compatibility": "new_v2b",
            "server_config": config });
        let created = create(&api, SERVERS, "server", &server).await;
        let id = number(&created["server"]["id"]);
        let client = json!({ "server_id": id, "name": "Frankfurt", "country": "DE",
            "traffic_factor": 1.5, "access_groups": [1] });
        let created = create(&api, CLIENTS, "client", &client).await;
        let client_id = number(&created["client"]["id"]);
        Self {
            api,
            id,
            client_id,
            server: format!("{SERVERS}/{id}"),
            client: format!("{CLIENTS}/{client_id}"),
        }
    }

    /// A report of the server for the minute before `end`.
    fn report(&self, report_id: u128, end: &str, lines: &[(Uuid, Option<i32>)]) -> String {
        let lines: Vec<Value> = lines
            .iter()
            .map(|(user, client)| {
                json!({ "user": user, "node_client_id": client, "upload": 10, "download": 20 })
            })
            .collect();
        let report = report_of(report_id, self.id, at(end), &[]);
        with(report, "/usage", lines.into()).to_string()
    }
}

fn number(id: &Value) -> i32 {
    id.as_i64().unwrap().try_into().unwrap()
}

async fn patch(api: &Api, path: &str, etag: &str, body: Value) -> (u16, Value) {
    api.change("PATCH", path, &[("if-match", etag)], &body)
        .await
}

async fn archive(api: &Api, path: &str) -> (u16, Value) {
    let body = json!({ "reason": "sold" });
    api.change("PUT", &format!("{path}/archive"), &[], &body)
        .await
}

async fn etag(api: &Api, path: &str) -> String {
    let request = event("GET", path, "", Some(&api.issuer.admin()), &[]);
    let response = api.send(request).await;
    response.headers()["etag"].to_str().unwrap().to_owned()
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_created_server_and_its_client_are_used_at_once(pool: PgPool) {
    let fleet = Fleet::new(pool).await;
    let api = &fleet.api;
    let package = api.world.package(1_000_000, 30).await;
    let item = api.world.active_item(user(1), package).await;
    let (_, nodes) = api
        .get("/v1/nodes", "", Some(&api.issuer.user(user(1))))
        .await;
    assert_eq!(nodes["nodes"][0]["name"], "Frankfurt");
    let body = fleet.report(1, NOW, &[(user(1), Some(fleet.client_id))]);
    api.world.assert_reports_accepted(&[body]).await;
    api.world.deliver_all().await;
    let billed = "select upload_bytes + download_bytes from telecom.package_queue";
    assert_eq!(api.world.number(billed).await, 45, "item {item}");
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn an_update_with_the_etag_that_was_read_is_made_on_both_transports(pool: PgPool) {
    let fleet = Fleet::new(pool).await;
    let api = &fleet.api;
    let path = &fleet.client;
    let read = etag(api, path).await;
    let (status, updated) = patch(api, path, &read, json!({ "traffic_factor": 0.5 })).await;
    assert_eq!(
        (status, &updated["client"]["revision"]),
        (200, &json!(2)),
        "{updated}"
    );

    let method = "telecom.v1.NodeClientManage/UpdateNodeClient";
    let message = json!({ "id": fleet.client_id,
        "patch": { "traffic_factor": 2, "speed_limit": 1_000_000 } });
    let fresh = api
        .change_over_grpc(method, &[("if-match", "\"2\"")], &message)
        .await
        .unwrap();
    assert_eq!(fresh["client"]["traffic_factor"], 2.0);
    let (_, shown) = api.get(path, "", Some(&api.issuer.admin())).await;
    assert_eq!(shown["client"]["speed_limit"], 1_000_000);
    assert_eq!(shown["client"]["revision"], 3);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_change_by_sql_counts_as_a_revision_too(pool: PgPool) {
    let fleet = Fleet::new(pool).await;
    let api = &fleet.api;
    let path = &fleet.server;
    let read = etag(api, path).await;
    api.world
        .sql("update telecom.node_server set name = 'b'")
        .await;
    let (status, _) = patch(api, path, &read, json!({ "name": "c" })).await;
    assert_eq!(status, 412);
    let (status, _) = patch(api, path, "*", json!({ "name": "c" })).await;
    assert_eq!(status, 200);
    api.world
        .sql("update telecom.node_server set status = 'online'")
        .await;
    let (_, shown) = api.get(path, "", Some(&api.issuer.admin())).await;
    assert_eq!(shown["revision"], 3, "the status is no setting");
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_patch_merges_the_configuration_and_shows_no_secret(pool: PgPool) {
    let fleet = Fleet::new(pool).await;
    let api = &fleet.api;
    let path = &fleet.server;
    let change = json!({ "server_config": { "server_port": 8443 } });
    let (status, updated) = patch(api, path, "\"1\"", change).await;
    assert_eq!(status, 200, "{updated}");
    assert_eq!(
        updated["server_config"],
        json!({ "server_port": 8443, "server_key": "********" })
    );
    let kept = "select server_config ->> 'server_key' from telecom.node_server
        where server_config ? 'server_key'";
    let key: String = sqlx::query_scalar(kept)
        .fetch_one(&api.world.pool)
        .await
        .unwrap();
    assert_eq!(key, "very secret");

    let masked = json!({ "server_config": { "server_key": "********" } });
    let (status, refused) = patch(api, path, "*", masked).await;
    assert_eq!((status, &refused["field"]), (400, &json!("server_config")));
    let renewed = json!({ "server_config": { "server_key": "other secret" } });
    assert_eq!(patch(api, path, "*", renewed).await.0, 200);
    let entries = api.world.audited().await;
    assert!(
        !json!(entries).to_string().contains("secret"),
        "{entries:?}"
    );
    let [_, _, port, key] = entries.as_slice() else {
        panic!("{entries:?}")
    };
    assert_eq!(port[2]["server_config"]["server_port"], 443);
    assert_eq!(port[3]["server_config"]["server_port"], 8443);
    assert_eq!(key[3]["server_config"]["server_key"], "******** (changed)");
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn an_archived_server_takes_its_clients_along_and_only_earlier_reports(pool: PgPool) {
    let fleet = Fleet::new(pool).await;
    let api = &fleet.api;
    let package = api.world.package(1_000_000, 30).await;
    api.world.active_item(user(1), package).await;
    let path = &fleet.server;
    let (status, archived) = archive(api, path).await;
    assert_eq!(status, 200, "{archived}");
    assert_eq!(archived["server"]["status"], "offline");
    assert_eq!(archived["server"]["archived_at"], NOW);
    let audited = api.world.audited().await.len();
    assert_eq!(archive(api, path).await.0, 200);
    assert_eq!(
        api.world.audited().await.len(),
        audited,
        "a repeat writes nothing"
    );

    let token = api.issuer.user(user(1));
    let (_, nodes) = api.get("/v1/nodes", "", Some(&token)).await;
    assert_eq!(nodes["total"], 0);
    let line = [(user(1), Some(fleet.client_id))];
    let earlier = fleet.report(1, NOW, &line);
    let later = fleet.report(2, LATER, &line);
    api.world.clock.set(at(LATER));
    let failed = api.world.report(&[earlier.clone(), later]).await;
    assert_eq!(failed, [message_id(1)], "the report of a later period");
    api.world.assert_reports_accepted(&[earlier]).await;
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn the_archiving_of_an_online_server_is_one_audit_entry(pool: PgPool) {
    let fleet = Fleet::new(pool).await;
    let world = &fleet.api.world;
    world
        .assert_reports_accepted(&[fleet.report(1, NOW, &[])])
        .await;
    let job = RefreshServerStatus(Run::default());
    world.cron().process(job).await.unwrap();
    let earlier = world.audited().await.len();
    assert_eq!(archive(&fleet.api, &fleet.server).await.0, 200);
    let entries = world.audited().await.split_off(earlier);
    let [server, client] = entries.as_slice() else {
        panic!("{entries:?}")
    };
    assert_eq!(server[1], "node_server");
    assert_eq!(
        server[2],
        json!({ "status": "online", "archived_at": null })
    );
    assert_eq!(
        server[3],
        json!({ "status": "offline", "archived_at": NOW })
    );
    assert_eq!(client[1], "node_client");
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn archived_servers_are_listed_only_on_request_and_not_watched(pool: PgPool) {
    let fleet = Fleet::new(pool).await;
    let api = &fleet.api;
    archive(api, &fleet.server).await;
    let admin = api.issuer.admin();
    for (path, list, id) in [
        (SERVERS, "servers", fleet.id),
        (CLIENTS, "clients", fleet.client_id),
    ] {
        let listed = async |query: &str| {
            let (_, page) = api.get(path, query, Some(&admin)).await;
            let items = page[list].as_array().unwrap();
            items.iter().any(|item| item["id"] == id)
        };
        assert!(!listed("").await);
        assert!(listed("include_archived=true").await);
    }
    let heartbeats = [
        fleet.report(3, NOW, &[]),
        report_of(4, 1, at(NOW), &[]).to_string(),
    ];
    api.world.assert_reports_accepted(&heartbeats).await;
    let job = RefreshServerStatus(Run::default());
    api.world.cron().process(job).await.unwrap();
    let (_, all) = api
        .get(SERVERS, "include_archived=true", Some(&admin))
        .await;
    assert_eq!(all["servers"][0]["status"], "online");
    assert_eq!(all["servers"][1]["status"], "offline");
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn usage_of_an_archived_client_is_quarantined_and_other_lines_use_the_next_client(
    pool: PgPool,
) {
    let fleet = Fleet::new(pool).await;
    let api = &fleet.api;
    let second =
        json!({ "server_id": fleet.id, "name": "b", "country": "DE", "traffic_factor": 3 });
    create(api, CLIENTS, "b", &second).await;
    archive(api, &fleet.client).await;
    api.world.clock.set(at(LATER));
    let lines = [(user(1), Some(fleet.client_id)), (user(2), None)];
    let body = fleet.report(1, LATER, &lines);
    api.world.assert_reports_accepted(&[body]).await;
    let quarantined = "select count(*) from telecom.quarantined_usage where user_id = $1";
    let quarantined: i64 = sqlx::query_scalar(quarantined)
        .bind(user(1))
        .fetch_one(&api.world.pool)
        .await
        .unwrap();
    assert_eq!(quarantined, 1);
    let factor = "select (traffic_factor)::bigint from telecom.traffic_usage";
    assert_eq!(api.world.number(factor).await, 3);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn invalid_settings_are_refused_with_the_field_and_what_is_accepted(pool: PgPool) {
    let fleet = Fleet::new(pool).await;
    let api = &fleet.api;
    for (path, body, field) in [
        (SERVERS, json!({ "compatibility": "ssp" }), "name"),
        (
            SERVERS,
            json!({ "name": "a", "compatibility": "x" }),
            "compatibility",
        ),
        (
            SERVERS,
            json!({ "name": "a", "compatibility": "ssp", "id": 7 }),
            ".",
        ),
        (
            CLIENTS,
            json!({ "server_id": 9, "name": "a", "country": "DE" }),
            "server_id",
        ),
        (
            CLIENTS,
            json!({ "server_id": fleet.id, "name": "a", "country": "de" }),
            "country",
        ),
    ] {
        let (status, problem) = api
            .change("POST", path, &[("idempotency-key", "c")], &body)
            .await;
        assert_eq!(
            (status, &problem["field"]),
            (400, &json!(field)),
            "{problem}"
        );
    }
    let moved = json!({ "server_id": 9 });
    let (status, problem) = patch(api, &fleet.client, "*", moved).await;
    assert_eq!((status, &problem["field"]), (400, &json!("server_id")));
    let (status, _) = patch(api, &format!("{CLIENTS}/9"), "*", json!({})).await;
    assert_eq!(status, 404);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_new_server_gets_an_id_after_those_of_rows_inserted_by_hand(pool: PgPool) {
    let api = Api::over_http(World::new(pool).await);
    for id in 2..=40 {
        api.world.server(id, &[]).await;
    }
    let server = json!({ "name": "a", "compatibility": "ssp" });
    let created = create(&api, SERVERS, "a", &server).await;
    assert_eq!(created["server"]["id"], 41);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_shared_path_names_all_its_methods(pool: PgPool) {
    let api = Api::over_http(World::new(pool).await);
    let request = event("DELETE", SERVERS, "", Some(&api.issuer.admin()), &[]);
    let response = api.send(request).await;
    assert_eq!(response.status(), 405);
    assert_eq!(response.headers()["allow"], "GET, HEAD, POST, OPTIONS");
}
