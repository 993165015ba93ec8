//! The availability counts outages, maintenance and unknown time separately.

use serde_json::{Value, json};
use sqlx::PgPool;
use telecom_tests::{NOW, user};

use super::Scenario;

const PATH: &str = "/v1/admin/node-servers/1/availability";

impl Scenario {
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
async fn availability_includes_an_outage_between_two_snapshots(pool: PgPool) {
    let mut scenario = Scenario::begin(pool).await;
    // Server 1 reports until 10:40, is silent for 20 minutes, then reports until 11:20.
    scenario.pass(10, &[1, 2]).await;
    scenario.pass(19, &[2]).await;
    scenario.pass(21, &[1, 2]).await;
    let expected = json!([30 * 60, 20 * 60, 0, 0, 0.6]);
    assert_eq!(
        scenario.availability(PATH, &scenario.admin()).await,
        expected
    );
    assert_eq!(
        scenario
            .availability("/v1/node-status-history", &scenario.user())
            .await,
        expected
    );
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn each_hour_has_its_part_of_the_availability(pool: PgPool) {
    let mut scenario = Scenario::begin(pool).await;
    // Server 1 reports from 10:30 until 10:40, is silent for 20 minutes, then reports until 11:20.
    scenario.pass(10, &[1, 2]).await;
    scenario.pass(19, &[2]).await;
    scenario.pass(21, &[1, 2]).await;
    let query = "start=2026-03-10T10:15:00Z&end=2026-03-10T12:00:00Z";
    let (_, answer) = scenario.api.get(PATH, query, Some(&scenario.admin())).await;
    let hour = |hour: &str, [online, offline, unknown]: [i64; 3], availability: f64| {
        json!({
            "hour": hour, "online_seconds": online * 60, "offline_seconds": offline * 60,
            "maintenance_seconds": 0, "unknown_seconds": unknown * 60,
            "availability": availability,
        })
    };
    let expected = [
        hour("2026-03-10T10:00:00Z", [10, 20, 15], 1.0 / 3.0),
        hour("2026-03-10T11:00:00Z", [20, 0, 0], 1.0),
    ];
    assert_eq!(answer["hours"], json!(expected));
    for name in ["online_seconds", "offline_seconds", "unknown_seconds"] {
        let of_hours = |hour: &Value| hour[name].as_i64().unwrap();
        let sum: i64 = expected.iter().map(of_hours).sum();
        assert_eq!(answer[name], sum, "{name}");
    }
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
    assert_eq!(
        scenario.availability(PATH, &scenario.admin()).await,
        json!([20 * 60, 0, 10 * 60, 30 * 60, 1.0])
    );
    // The time before the first record is unknown. Time in the future is not counted.
    let (_, answer) = scenario
        .api
        .get(
            PATH,
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
    assert_eq!(
        scenario.availability(PATH, &scenario.admin()).await,
        json!([10 * 60, 0, 10 * 60, 20 * 60, 1.0])
    );
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
