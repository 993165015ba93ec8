//! Maintenance is set and lifted by administrators alone, logged with actor and reason, and counted
//! separately in the availability.

use serde_json::{Value, json};
use shared::services::Processor;
use shared::services::cron::Run;
use shared::services::cron::refresh_server_status::RefreshServerStatus;
use sqlx::PgPool;
use telecom_tests::api::Api;
use telecom_tests::report::report_of;
use telecom_tests::token::{Issuer, claims};
use telecom_tests::watch::{after, heartbeat};
use telecom_tests::{GIB, NOW, World, at, user};
use tonic::Code;
use uuid::Uuid;

const PATH: &str = "/v1/admin/node-servers/1/maintenance";

struct Scenario {
    api: Api,
    minutes: i64,
}

impl Scenario {
    async fn begin(pool: PgPool) -> Self {
        let world = World::new(pool).await;
        world.server(2, &[]).await;
        world
            .sql("update telecom.node_client set access_groups = '{1}'")
            .await;
        let package = world.package(GIB, 30).await;
        world.active_item(user(1), package).await;
        let mut scenario = Self {
            api: Api::over_http(world),
            minutes: 0,
        };
        scenario.pass(1, &[1, 2]).await;
        scenario
    }

    /// Advances by `minutes`. In each minute the `alive` servers report and statuses are refreshed.
    async fn pass(&mut self, minutes: i64, alive: &[i32]) {
        for _ in 0..minutes {
            self.beat_at(self.minutes * 60, alive).await;
            self.api
                .world
                .cron()
                .process(RefreshServerStatus(Run::default()))
                .await
                .unwrap();
            self.minutes += 1;
        }
    }

    async fn beat_at(&self, seconds: i64, alive: &[i32]) {
        self.api.world.clock.set(after(seconds));
        let bodies: Vec<String> = alive
            .iter()
            .map(|&server| heartbeat(server, seconds))
            .collect();
        self.api.world.assert_reports_accepted(&bodies).await;
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

    /// The log of server 1: its statuses and the minute at which each begins.
    async fn log(&self) -> Vec<(String, i64)> {
        let log: Vec<(String, i64, Option<i64>)> = sqlx::query_as(
            "select to_status::text, extract(epoch from since - $1)::bigint / 60, extract(epoch
            from until - $1)::bigint / 60
             from telecom.node_status_transition where node_server_id = 1 order by since,
             until nulls last",
        )
        .bind(at(NOW))
        .fetch_all(&self.api.world.pool)
        .await
        .unwrap();
        assert!(
            log.windows(2).all(|pair| pair[0].2 == Some(pair[1].1)),
            "the log has a gap: {log:?}"
        );
        log.into_iter().map(|(to, since, _)| (to, since)).collect()
    }

    /// Seconds online, offline, in maintenance and unknown, and the availability, since the start
    /// of the scenario.
    async fn availability(&self, path: &str, token: &str) -> Value {
        let end = self
            .api
            .world
            .context()
            .now()
            .to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true);
        let (status, answer) = self
            .api
            .get(path, &format!("start={NOW}&end={end}"), Some(token))
            .await;
        assert_eq!(status, 200, "{answer}");
        let of = if answer["availability"].is_array() {
            answer["availability"][0].clone()
        } else {
            answer
        };
        let names = [
            "online_seconds",
            "offline_seconds",
            "maintenance_seconds",
            "unknown_seconds",
            "availability",
        ];
        Value::Array(names.map(|name| of[name].clone()).to_vec())
    }
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn only_an_administrator_ends_maintenance_and_a_repeat_changes_nothing(pool: PgPool) {
    let mut scenario = Scenario::begin(pool).await;
    assert_eq!(
        scenario.set(true, "new disk").await,
        (
            200,
            json!({ "id": 1, "status": "maintenance", "changed": true })
        )
    );
    assert_eq!(
        scenario.set(true, "again").await,
        (
            200,
            json!({ "id": 1, "status": "maintenance", "changed": false })
        )
    );
    scenario.pass(3, &[1, 2]).await;
    scenario.pass(10, &[2]).await;
    let status = scenario
        .api
        .get("/v1/admin/node-servers/1", "", Some(&scenario.admin()))
        .await
        .1["server"]["status"]
        .clone();
    assert_eq!(status, "maintenance");
    // After maintenance the status is evaluated at once. The server was silent for ten minutes.
    assert_eq!(
        scenario.set(false, "done").await,
        (
            200,
            json!({ "id": 1, "status": "offline", "changed": true })
        )
    );
    scenario.pass(1, &[1, 2]).await;
    let log: Vec<(String, Option<Uuid>, Option<String>)> = sqlx::query_as(
        "select to_status::text, actor_user_id, reason from telecom.node_status_transition
        where node_server_id = 1
         order by since, until nulls last",
    )
    .fetch_all(&scenario.api.world.pool)
    .await
    .unwrap();
    let by = |to: &str, reason: &str| {
        (
            to.to_owned(),
            Some(Uuid::from_u128(7)),
            Some(reason.to_owned()),
        )
    };
    let itself = |to: &str| (to.to_owned(), None, None);
    assert_eq!(
        log,
        [
            itself("online"),
            by("maintenance", "new disk"),
            by("offline", "done"),
            itself("online")
        ]
    );
    let facts: Vec<String> = scenario
        .api
        .world
        .facts()
        .await
        .into_iter()
        .map(|(kind, _)| kind)
        .collect();
    // The first two facts are that each server came online.
    assert_eq!(
        facts[2..],
        ["NodeServerWentOffline", "NodeServerCameOnline"]
    );
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn availability_includes_an_outage_between_two_snapshots(pool: PgPool) {
    let mut scenario = Scenario::begin(pool).await;
    // Server 1 reports until 10:40, is silent for 20 minutes, then reports until 11:20.
    scenario.pass(10, &[1, 2]).await;
    scenario.pass(19, &[2]).await;
    scenario.pass(21, &[1, 2]).await;
    let expected = json!([30 * 60, 20 * 60, 0, 0, 0.6]);
    let (admin, path) = (scenario.admin(), "/v1/admin/node-servers/1/availability");
    assert_eq!(scenario.availability(path, &admin).await, expected);
    let mut claims = claims(user(1), "");
    claims["exp"] = json!(scenario.api.world.context().now().timestamp() + 60);
    let token = scenario.api.issuer.sign(&claims);
    assert_eq!(
        scenario
            .availability("/v1/node-status-history", &token)
            .await,
        expected
    );
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn maintenance_and_unknown_time_are_counted_separately(pool: PgPool) {
    let mut scenario = Scenario::begin(pool).await;
    scenario.pass(10, &[1, 2]).await;
    scenario.set(true, "move").await;
    scenario.pass(10, &[1, 2]).await;
    scenario.set(false, "moved").await;
    scenario.pass(10, &[1, 2]).await;
    // No server reports for 30 minutes, then both do.
    scenario.pass(29, &[]).await;
    scenario.pass(1, &[1, 2]).await;
    let path = "/v1/admin/node-servers/1/availability";
    assert_eq!(
        scenario.availability(path, &scenario.admin()).await,
        json!([20 * 60, 0, 10 * 60, 30 * 60, 1.0])
    );
    // The time before the first record is unknown. Time in the future is not counted.
    let (_, answer) = scenario
        .api
        .get(
            path,
            "start=2026-03-10T09:30:00Z&end=2026-03-12T00:00:00Z",
            Some(&scenario.admin()),
        )
        .await;
    assert_eq!(
        (&answer["unknown_seconds"], &answer["end"]),
        (&json!(90 * 60), &json!("2026-03-10T11:30:00Z"))
    );
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn without_reports_maintenance_is_known_and_ends_as_online(pool: PgPool) {
    let mut scenario = Scenario::begin(pool).await;
    scenario.pass(10, &[1, 2]).await;
    // No server reports from 10:40 on. Maintenance lasts from 10:50 to 11:00.
    scenario.pass(10, &[]).await;
    scenario.set(true, "move").await;
    scenario.pass(10, &[]).await;
    assert_eq!(scenario.set(false, "moved").await.1["status"], "online");
    scenario.pass(10, &[]).await;
    let path = "/v1/admin/node-servers/1/availability";
    assert_eq!(
        scenario.availability(path, &scenario.admin()).await,
        json!([10 * 60, 0, 10 * 60, 20 * 60, 1.0])
    );
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn after_maintenance_silence_counts_from_its_end(pool: PgPool) {
    let mut scenario = Scenario::begin(pool).await;
    scenario.set(true, "a restart").await;
    scenario.pass(5, &[2]).await;
    assert_eq!(scenario.set(false, "done").await.1["status"], "online");
    // Silence counts from the end of maintenance.
    scenario.pass(5, &[2]).await;
    let entries = [("online", 0), ("maintenance", 0), ("online", 5)]
        .map(|(to, since)| (to.to_owned(), since));
    assert_eq!(scenario.log().await, entries);
    scenario.pass(1, &[2]).await;
    assert_eq!(
        scenario.log().await.last(),
        Some(&("offline".to_owned(), 5))
    );
    let (_, fact) = scenario.api.world.facts().await.pop().unwrap();
    assert_eq!(
        (&fact["from"], &fact["since"]),
        (&json!("online"), &json!("2026-03-10T10:35:00Z"))
    );
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn an_undetected_outage_is_logged_before_maintenance(pool: PgPool) {
    let mut scenario = Scenario::begin(pool).await;
    scenario.pass(5, &[2]).await;
    assert_eq!(scenario.log().await, [("online".to_owned(), 0)]);
    scenario.beat_at(301, &[2]).await;
    scenario.set(true, "new disk").await;
    let entries = [("online", 0), ("offline", 0), ("maintenance", 5)]
        .map(|(to, since)| (to.to_owned(), since));
    assert_eq!(scenario.log().await, entries);
    let facts: Vec<String> = scenario
        .api
        .world
        .facts()
        .await
        .into_iter()
        .map(|(kind, _)| kind)
        .collect();
    // The first two facts are that each server came online.
    assert_eq!(facts[2..], ["NodeServerWentOffline"]);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn the_actor_is_logged_even_if_the_status_was_set_by_sql(pool: PgPool) {
    let scenario = Scenario::begin(pool).await;
    scenario.set(true, "new disk").await;
    scenario
        .api
        .world
        .sql("update telecom.node_server set status = 'online' where id = 1")
        .await;
    assert_eq!(scenario.set(true, "once more").await.1["changed"], true);
    let reasons: Vec<String> = sqlx::query_scalar(
        "select reason from telecom.node_status_transition where actor_user_id is not null \
         order by id",
    )
    .fetch_all(&scenario.api.world.pool)
    .await
    .unwrap();
    assert_eq!(reasons, ["new disk", "once more"]);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn each_concurrent_change_is_logged_once(pool: PgPool) {
    let scenario = Scenario::begin(pool).await;
    let all = futures::future::join_all((0..8).map(|_| scenario.set(true, "at once"))).await;
    assert_eq!(
        all.iter()
            .filter(|(_, answer)| answer["changed"] == true)
            .count(),
        1,
        "{all:?}"
    );
    let refresh = || async {
        scenario
            .api
            .world
            .cron()
            .process(RefreshServerStatus(Run::default()))
            .await
            .unwrap()
    };
    let change = async |round: usize| {
        let (answer, _) = tokio::join!(scenario.set(round % 2 == 1, "in turns"), refresh());
        answer
    };
    let all = futures::future::join_all((0..24).map(change)).await;
    assert!(all.iter().all(|(status, _)| *status == 200), "{all:?}");
    let changed = all
        .iter()
        .filter(|(_, answer)| answer["changed"] == true)
        .count();
    let by_hand =
        "select count(*) from telecom.node_status_transition where actor_user_id is not null";
    assert_eq!(
        scenario.api.world.number(by_hand).await,
        1 + i64::try_from(changed).unwrap()
    );
    assert!(!scenario.log().await.is_empty());
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn bad_maintenance_requests_are_refused_on_both_transports(pool: PgPool) {
    let api = Api::over_both(World::new(pool).await, Issuer::default()).await;
    let admin = api.issuer.admin();
    for (body, code, field) in [
        ("", "malformed_json", "."),
        ("{", "malformed_json", "."),
        ("[]", "invalid_field", "."),
        (r#"{"maintenance": true}"#, "invalid_field", "reason"),
        (r#"{"reason": "x"}"#, "invalid_field", "maintenance"),
        (
            r#"{"maintenance": true, "reason": "x", "until": 1}"#,
            "invalid_field",
            ".",
        ),
        (
            r#"{"maintenance": "yes", "reason": "x"}"#,
            "invalid_field",
            "maintenance",
        ),
        (
            r#"{"maintenance": true, "reason": ""}"#,
            "invalid_parameter",
            "reason",
        ),
        (
            r#"{"maintenance": true, "reason": " \u2003 "}"#,
            "invalid_parameter",
            "reason",
        ),
        (
            "{\"maintenance\": true, \"reason\": \"a\\u0000b\"}",
            "invalid_parameter",
            "reason",
        ),
    ] {
        let (status, problem) = api.put(PATH, "", body, Some(&admin)).await;
        assert_eq!(
            (status, &problem["code"], &problem["field"]),
            (400, &json!(code), &json!(field)),
            "{body}: {problem}"
        );
    }
    let body = r#"{"maintenance": true, "reason": "x"}"#;
    assert_eq!(
        api.put(PATH, "", body, Some(&api.issuer.user(user(1))))
            .await
            .0,
        403
    );
    assert_eq!(
        api.put(
            "/v1/admin/node-servers/404/maintenance",
            "",
            body,
            Some(&admin)
        )
        .await
        .0,
        404
    );
    assert_eq!(api.get(PATH, "", Some(&admin)).await.0, 405);
    let method = "telecom.v1.NodeServerManage/SetNodeServerMaintenance";
    for (message, code) in [
        (
            json!({ "id": 1, "maintenance": true, "reason": "x".repeat(501) }),
            Code::InvalidArgument,
        ),
        (
            json!({ "id": 1, "maintenance": true }),
            Code::InvalidArgument,
        ),
        (
            json!({ "id": 404, "maintenance": true, "reason": "x" }),
            Code::NotFound,
        ),
    ] {
        assert_eq!(
            api.grpc(method, message, Some(&admin))
                .await
                .unwrap_err()
                .code(),
            code
        );
    }
    let done = api
        .grpc(
            method,
            json!({ "id": 1, "maintenance": true, "reason": "x" }),
            Some(&admin),
        )
        .await
        .unwrap();
    assert_eq!(
        (&done["status"], &done["changed"]),
        (&json!("NODE_SERVER_STATUS_MAINTENANCE"), &json!(true))
    );
}

/// Ids of a user's nodes in the list, in the availability and among the usually used nodes.
async fn nodes_of(scenario: &Scenario) -> [Vec<i64>; 3] {
    let mut claims = claims(user(1), "");
    claims["exp"] = json!(scenario.api.world.context().now().timestamp() + 60);
    let token = scenario.api.issuer.sign(&claims);
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

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_truncated_history_returns_the_total_number_of_nodes(pool: PgPool) {
    let scenario = Scenario::begin(pool).await;
    let clients =
        "insert into telecom.node_client (id, node_server_id, name, country, access_groups)
        select 1000 + n, 2, 'c', 'DE', '{1}' from generate_series(1, 1000) n";
    scenario.api.world.sql(clients).await;
    let (_, history) = scenario
        .api
        .get(
            "/v1/node-status-history",
            "",
            Some(&scenario.api.issuer.user(user(1))),
        )
        .await;
    assert_eq!(
        (
            history["availability"].as_array().unwrap().len(),
            &history["node_count"]
        ),
        (1_000, &json!(1_001))
    );
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
