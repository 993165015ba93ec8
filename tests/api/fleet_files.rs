//! Import and export of a fleet: the command's code against the functions, over HTTP.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use local::fleet::{
    self, Archived, Counts, Document, Fleet, Kind, Options, Outcome, Report, rows_from_csv,
};
use serde_json::{Value, json};
use sqlx::PgPool;

use site::Site;

pub(super) mod site;

/// Counts of a kind that nothing happens to.
fn unchanged(rows: usize) -> Counts {
    Counts {
        unchanged: rows,
        ..Counts::default()
    }
}

fn created(rows: usize) -> Counts {
    Counts {
        create: rows,
        ..Counts::default()
    }
}

/// Asserts that nothing happens to the fleet of [`new_fleet`].
fn assert_unchanged(report: &Report) {
    assert_eq!(
        (report.servers, report.clients),
        (unchanged(2), unchanged(3)),
        "{report}"
    );
}

fn json_of(document: &Value) -> Document {
    Document::from_json("fleet.json", &document.to_string()).unwrap()
}

/// Two servers with three clients, none of which exists yet.
fn new_fleet() -> Value {
    json!({
        "servers": [
            { "name": "fra-1", "compatibility": "new_v2b",
                "server_config": { "server_port": 443, "server_key": "very secret" } },
            { "name": "lon-1", "compatibility": "ssp" },
        ],
        "clients": [
            { "name": "Frankfurt", "server_name": "fra-1", "country": "DE", "traffic_factor": 1.5,
                "access_groups": [3, 2] },
            { "name": "Berlin", "server_name": "fra-1", "country": "DE", "speed_limit": 1_000_000 },
            { "name": "London", "server_name": "lon-1", "country": "GB", "location": "City" },
        ],
    })
}

async fn filled(pool: &PgPool) -> Arc<Site> {
    let site = Site::empty(pool).await;
    let report = site
        .import(&json_of(&new_fleet()), Options::default())
        .await;
    assert_eq!(
        (report.servers, report.clients),
        (created(2), created(3)),
        "{report}"
    );
    site.take_writes();
    site
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn an_import_creates_what_is_missing_and_nothing_the_second_time(pool: PgPool) {
    let site = filled(&pool).await;
    let content = site.content().await;
    assert_eq!(content["Frankfurt"]["server_name"], "fra-1");
    assert_eq!(content["Frankfurt"]["access_groups"], json!([2, 3]));
    assert_eq!(content["fra-1"]["server_config"]["server_key"], "********");

    let mut again = new_fleet();
    again["servers"][0]["server_config"]["server_key"] = json!("********");
    let report = site.import(&json_of(&again), Options::default()).await;
    assert_unchanged(&report);
    assert_eq!(site.take_writes(), []);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_secret_that_is_the_stored_one_is_no_change(pool: PgPool) {
    let site = filled(&pool).await;
    let report = site
        .import(&json_of(&new_fleet()), Options::default())
        .await;
    assert_eq!(report.servers, unchanged(2), "{report}");
    let written = json!({ "server_config": { "server_key": "very secret" } });
    assert_eq!(site.take_writes(), [("PATCH".to_owned(), written)]);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn an_export_imported_into_its_own_system_changes_nothing(pool: PgPool) {
    let site = filled(&pool).await;
    let export = site.export().await;
    let text = fleet::to_json(&export).unwrap();
    let document = Document::from_json("fleet.json", &text).unwrap();
    let rows = |kind| {
        let table = fleet::to_csv(kind, export.of(kind)).unwrap();
        Some(rows_from_csv("fleet.csv", kind, &table).unwrap())
    };
    let tables = Document {
        servers: rows(Kind::Server),
        clients: rows(Kind::Client),
    };
    for document in [document, tables] {
        let report = site.import(&document, Options::default()).await;
        assert_unchanged(&report);
    }
    assert_eq!(site.take_writes(), []);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn an_export_imported_elsewhere_gives_the_same_fleet_without_secrets(pool: PgPool) {
    let site = filled(&pool).await;
    let export = fleet::to_json(&site.export().await).unwrap();
    let mut expected = site.content().await;
    let config = expected.get_mut("fra-1").unwrap()["server_config"].as_object_mut();
    assert_eq!(
        config.unwrap().remove("server_key"),
        Some(json!("********"))
    );

    // New servers and clients have ids that were never used, so those of the file do not exist.
    site.clear().await;
    let document = Document::from_json("fleet.json", &export).unwrap();
    let options = Options {
        by_name: true,
        ..Options::default()
    };
    for (servers, clients) in [(created(2), created(3)), (unchanged(2), unchanged(3))] {
        let report = site.import(&document, options.clone()).await;
        assert_eq!(
            (report.servers, report.clients),
            (servers, clients),
            "{report}"
        );
    }
    assert_eq!(site.content().await, expected);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn an_import_writes_only_the_fields_that_differ(pool: PgPool) {
    let site = filled(&pool).await;
    let export = site.export().await;
    let changed = json!({
        "servers": [{ "id": export.servers[0].id, "name": "fra-1a",
            "server_config": { "server_port": 8443, "server_key": "********" } }],
        "clients": [{ "id": export.clients[0].id, "traffic_factor": 0.5, "server_name": "lon-1" }],
    });
    let dry = Options {
        dry_run: true,
        ..Options::default()
    };
    let planned = site.import(&json_of(&changed), dry).await;
    assert_eq!(site.take_writes(), [], "a dry run");
    let fields: Vec<&str> = planned
        .rows
        .iter()
        .flat_map(|row| &row.changes)
        .map(|change| change.field.as_str())
        .collect();
    let expected = [
        "name",
        "server_config.server_port",
        "server_id",
        "traffic_factor",
    ];
    assert_eq!(fields, expected);

    let report = site.import(&json_of(&changed), Options::default()).await;
    assert_eq!(
        (
            report.servers.update,
            report.clients.update,
            report.refused()
        ),
        (1, 1, 0)
    );
    let to = export.servers[1].id;
    let written = [
        json!({ "name": "fra-1a", "server_config": { "server_port": 8443 } }),
        json!({ "traffic_factor": 0.5, "server_id": to }),
    ];
    assert_eq!(
        site.take_writes(),
        written.map(|body| ("PATCH".to_owned(), body))
    );
    let stored: String = sqlx::query_scalar(
        "select server_config ->> 'server_key' from telecom.node_server where name = 'fra-1a'",
    )
    .fetch_one(&pool)
    .await
    .unwrap();
    assert_eq!(stored, "very secret");
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_row_that_another_operator_changed_is_not_overwritten(pool: PgPool) {
    let site = filled(&pool).await;
    let export = site.export().await;
    let ids: Vec<i32> = export.clients.iter().map(|client| client.id).collect();
    let document = json_of(&json!({ "clients": [
        { "id": ids[0], "location": "mine" }, { "id": ids[1], "location": "mine" }] }));
    // The first row's answer is the signal that the import has read the fleet.
    let (api, handle) = (Arc::clone(&site.api), tokio::runtime::Handle::current());
    let import = move |http: &fleet::api::Api| {
        let mut show = |row: &fleet::RowReport| {
            if row.id == Some(ids[0]) {
                let path = format!("/v1/admin/node-clients/{}", ids[1]);
                let body = json!({ "location": "theirs" });
                let change = api.change("PATCH", &path, &[("if-match", "*")], &body);
                assert_eq!(handle.block_on(change).0, 200);
            }
        };
        fleet::import(http, &document, &Options::default(), &mut show).unwrap()
    };
    let (report, _) = site.with(import).await;
    assert_eq!(
        (report.clients.update, report.clients.refused),
        (2, 1),
        "{report}"
    );
    let Outcome::Refused { error } = &report.rows[1].outcome else {
        panic!("{report}");
    };
    assert!(error.starts_with("412 revision_changed"), "{error}");
    let content = site.content().await;
    assert_eq!(content["Frankfurt"]["location"], "mine");
    assert_eq!(content["Berlin"]["location"], "theirs");
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn nothing_is_sent_if_a_row_is_invalid(pool: PgPool) {
    let site = Site::empty(&pool).await;
    let mut document = new_fleet();
    document["servers"][1]["compatibility"] = json!("other");
    document["clients"][0]["traffic_factor"] = json!(1.23456);
    document["clients"][1]["server_name"] = json!("paris");
    document["clients"][2]["colour"] = json!("red");
    let report = site.import(&json_of(&document), Options::default()).await;
    let invalid: Vec<(&str, &str)> = report
        .invalid
        .iter()
        .map(|row| (row.source.as_str(), row.field.as_str()))
        .collect();
    let expected = [
        ("fleet.json servers[1]", "compatibility"),
        ("fleet.json clients[0]", "traffic_factor"),
        ("fleet.json clients[1]", "server_name"),
        ("fleet.json clients[2]", "colour"),
    ];
    assert_eq!(invalid, expected);
    let factor = &report.invalid[1].message;
    assert!(
        factor.contains("expected a number from 0 to 100"),
        "{factor}"
    );
    assert_eq!(site.take_writes(), []);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn rows_that_cannot_be_told_apart_are_refused(pool: PgPool) {
    let site = filled(&pool).await;
    let id = site.export().await.clients[0].id;
    let client = |name: &str| json!({ "name": name, "server_name": "fra-1", "country": "DE" });
    for clients in [
        json!([client("Paris"), client("Paris ")]),
        json!([client("Frankfurt"), { "id": id }]),
        json!([{ "id": 4711, "name": "Paris" }]),
    ] {
        let document = json_of(&json!({ "clients": clients }));
        let report = site.import(&document, Options::default()).await;
        assert_eq!(report.invalid.len(), 1, "{clients}");
    }
    assert_eq!(site.take_writes(), []);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn an_interrupted_import_run_again_gives_the_same_fleet(pool: PgPool) {
    let site = filled(&pool).await;
    let expected = site.content().await;
    let mut second = new_fleet();
    second["servers"][0]["server_config"]["server_key"] = json!("********");
    for answered in 0..5 {
        site.clear().await;
        site.answered.store(answered, Ordering::SeqCst);
        let report = site
            .import(&json_of(&new_fleet()), Options::default())
            .await;
        assert!(report.refused() > 0, "{report}");
        site.answered.store(i64::MAX, Ordering::SeqCst);
        site.import(&json_of(&second), Options::default()).await;
        assert_eq!(site.content().await, expected, "after {answered} requests");
        let counts: (i64, i64) = sqlx::query_as(
            "select (select count(*) from telecom.node_server),
                (select count(*) from telecom.node_client)",
        )
        .fetch_one(&pool)
        .await
        .unwrap();
        assert_eq!(counts, (2, 3), "after {answered} requests");
    }
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_repeated_request_has_an_effect_once(pool: PgPool) {
    let site = Site::empty(&pool).await;
    site.answered.store(1, Ordering::SeqCst);
    site.import(&json_of(&new_fleet()), Options::default())
        .await;
    let writes = site.take_writes();
    assert!(writes.len() > 3, "{writes:?}");
    let servers: i64 = sqlx::query_scalar("select count(*) from telecom.node_server")
        .fetch_one(&pool)
        .await
        .unwrap();
    assert_eq!(servers, 2);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_throttled_request_waits_as_long_as_the_api_asks(pool: PgPool) {
    let site = Site::empty(&pool).await;
    site.throttled.store(2, Ordering::SeqCst);
    let (_, pauses) = site
        .with(|api| Fleet::read(api, Archived::Listed).unwrap())
        .await;
    assert_eq!(pauses, [Duration::from_secs(7); 2]);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn only_the_option_archives_what_the_file_lacks(pool: PgPool) {
    let site = filled(&pool).await;
    let mut document = new_fleet();
    document["servers"].as_array_mut().unwrap().pop();
    document["servers"][0]["server_config"]["server_key"] = json!("********");
    document["clients"].as_array_mut().unwrap().drain(1..);
    let report = site.import(&json_of(&document), Options::default()).await;
    assert_eq!(
        (report.servers, report.clients),
        (unchanged(1), unchanged(1)),
        "{report}"
    );

    let archiving = Options {
        archive_missing: Some("new list".to_owned()),
        ..Options::default()
    };
    let mut stays = document.clone();
    stays["clients"][0]["server_name"] = json!("lon-1");
    let refused = site.import(&json_of(&stays), archiving.clone()).await;
    assert_eq!(refused.invalid[0].field, "server_id", "{refused}");
    assert_eq!(site.take_writes(), []);

    let report = site.import(&json_of(&document), archiving).await;
    assert_eq!(
        (report.servers.archive, report.clients.archive),
        (1, 2),
        "{report}"
    );
    assert_eq!(report.refused(), 0, "{report}");
    let names: Vec<String> = site.content().await.into_keys().collect();
    assert_eq!(names, ["Frankfurt", "fra-1"]);
}
