//! Maintenance is set and lifted by administrators alone, logged with actor and reason, and counted
//! separately in the availability.

mod availability;
mod requests;

use serde_json::{Value, json};
use shared::services::Processor;
use shared::services::cron::Run;
use shared::services::cron::refresh_server_status::RefreshServerStatus;
use sqlx::PgPool;
use telecom_tests::api::Api;
use telecom_tests::token::claims;
use telecom_tests::watch::{after, heartbeat};
use telecom_tests::{GIB, NOW, World, at, user};
use uuid::Uuid;

const PATH: &str = "/v1/admin/node-servers/1/maintenance";
const ADMIN: Uuid = Uuid::from_u128(7);

pub struct Scenario {
    pub api: Api,
    minutes: i64,
}

impl Scenario {
    pub async fn begin(pool: PgPool) -> Self {
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
    pub async fn pass(&mut self, minutes: i64, alive: &[i32]) {
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
        self.token(ADMIN, "telecom:admin")
    }

    /// A token of user 1.
    pub fn user(&self) -> String {
        self.token(user(1), "")
    }

    /// A token that is valid by the scenario's clock.
    fn token(&self, user: Uuid, scope: &str) -> String {
        let mut claims = claims(user, scope);
        claims["exp"] = json!(self.api.world.context().now().timestamp() + 60);
        self.api.issuer.sign(&claims)
    }

    async fn set(&self, maintenance: bool, reason: &str) -> (u16, Value) {
        let body = json!({ "maintenance": maintenance, "reason": reason }).to_string();
        self.api.put(PATH, "", &body, Some(&self.admin())).await
    }

    /// Types of the facts after the first two, which are that each server came online.
    async fn facts(&self) -> Vec<String> {
        let facts = self.api.world.facts().await;
        facts[2..].iter().map(|(kind, _)| kind.clone()).collect()
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
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn only_an_administrator_ends_maintenance_and_a_repeat_changes_nothing(pool: PgPool) {
    let mut scenario = Scenario::begin(pool).await;
    let answer = |status: &str, changed: bool| {
        let body = json!({ "id": 1, "status": status, "changed": changed });
        (200_u16, body)
    };
    assert_eq!(
        scenario.set(true, "new disk").await,
        answer("maintenance", true)
    );
    assert_eq!(
        scenario.set(true, "again").await,
        answer("maintenance", false)
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
    assert_eq!(scenario.set(false, "done").await, answer("offline", true));
    scenario.pass(1, &[1, 2]).await;
    let log: Vec<(String, Option<Uuid>, Option<String>)> = sqlx::query_as(
        "select to_status::text, actor_user_id, reason from telecom.node_status_transition
        where node_server_id = 1
         order by since, until nulls last",
    )
    .fetch_all(&scenario.api.world.pool)
    .await
    .unwrap();
    let by = |to: &str, reason: &str| (to.to_owned(), Some(ADMIN), Some(reason.to_owned()));
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
    assert_eq!(
        scenario.facts().await,
        ["NodeServerWentOffline", "NodeServerCameOnline"]
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
    assert_eq!(scenario.facts().await, ["NodeServerWentOffline"]);
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
