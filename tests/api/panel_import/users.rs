//! Users of panels.

use std::sync::atomic::Ordering;

use local::fleet::Outcome;
use local::panel::{Method, Options, Panel, Skipped, UserAction};
use serde_json::{Value, json};
use shared::lambda::node::{self, Uniproxy};
use shared::services::node::NodeService;
use sqlx::PgPool;
use telecom_tests::api::event;
use telecom_tests::unreachable_publisher;
use uuid::Uuid;

use super::super::fleet_files::site::Site;
use super::tables::{XBOARD_USERS, sspanel, xboard, xboard_users};
use super::{GIB, dry, held, import, of_users, options};

const FIRST: &str = "3b1f4c1e-8d7a-4c52-9a0e-6f1d2b3c4d5e";
const SECOND: &str = "8a2b1a52-43f1-4c53-9f0d-3f8f5f0c2a11";
const THIRD: &str = "0f9d2c3e-5a6b-4c7d-8e9f-a0b1c2d3e4f5";
/// The end of users without an end in the panel.
const NO_END: i64 = 4_102_358_400;

/// What the users of Xboard have after the import, but the one with a new secret.
fn moved() -> [Value; 3] {
    [
        json!([FIRST, 1, 3, 100 * GIB - 3, 0, "active", 1_775_000_001]),
        json!([SECOND, 2, 1_000, 777, 0, "active", 1_798_761_599]),
        json!([THIRD, 1, 3, 200 * GIB, 0, "active", NO_END]),
    ]
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn users_keep_their_bytes_their_time_and_their_secrets(pool: PgPool) {
    let site = Site::empty(&pool).await;
    let report = import(&site, Panel::Xboard, xboard(), options()).await;
    let held = held(&site).await;
    assert_eq!(held[..3], moved(), "{report}");
    // A uuid of version 3 is no secret here.
    assert_eq!(
        held[3].as_array().unwrap()[1..],
        [
            json!(1),
            json!(3),
            json!(90),
            json!(0),
            json!("active"),
            json!(1_775_000_000)
        ]
    );
    assert_ne!(held[3][0], "5df41881-3aed-3515-88a7-2f4a814cf09e");
    let skipped: Vec<(i64, Skipped)> = report
        .users
        .iter()
        .filter_map(|user| Some((user.panel_id, user.skipped?)))
        .collect();
    let expected = [
        (21, Skipped::Banned),
        (22, Skipped::Expired),
        (23, Skipped::UsedUp),
        (24, Skipped::NoPackage),
        (25, Skipped::Deleted),
    ];
    assert_eq!(skipped, expected);
    let totals = &report.totals;
    assert_eq!(
        (totals.moved, totals.new_secrets, totals.refused),
        (4, 1, 0)
    );
    assert_eq!(totals.quota_left_bytes, 300 * GIB - 3 + 777 + 90);
    let names: Vec<&str> = report
        .packages
        .iter()
        .map(|made| made.name.as_str())
        .collect();
    assert_eq!(
        names,
        [
            "Pro (plan 3, group 1, 3 devices of panel.example.com)",
            "Team (plan 4, group 2, any devices of panel.example.com)"
        ]
    );
    // The users' ids and orders are the same in each run and on each machine.
    let ids: Vec<Uuid> =
        sqlx::query_scalar("select user_id from telecom.package_queue where id = 1")
            .fetch_all(&pool)
            .await
            .unwrap();
    assert_eq!(report.users[0].user, Some(ids[0]));
    assert_eq!(ids[0].get_version_num(), 5);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_node_receives_the_users_with_the_secrets_of_the_panel(pool: PgPool) {
    let site = Site::empty(&pool).await;
    import(&site, Panel::Xboard, xboard(), options()).await;
    let read = "select server_config, id from (select node_server_id as id, client_config as
        server_config from telecom.node_client where name like '%Frankfurt') c";
    let (_, server): (Value, i32) = sqlx::query_as(read).fetch_one(&pool).await.unwrap();
    let client: i32 = sqlx::query_scalar(
        "select id from telecom.node_client where name like
        '%Frankfurt'",
    )
    .fetch_one(&pool)
    .await
    .unwrap();
    let body = json!({ "protocol": "uniproxy", "server_id": server, "node_client_id": client });
    let headers = [("idempotency-key", "access")];
    let issued = site
        .api
        .change("POST", "/v1/admin/node-access", &headers, &body)
        .await
        .1;
    let query = format!(
        "token={}&node_id={client}&node_type=vless",
        issued["token"].as_str().unwrap()
    );
    let world = &site.api.world;
    let service = NodeService::new(world.node.clone(), world.context(), unreachable_publisher());
    let pull = async |path: &str| -> Value {
        let path = format!("/api/v1/server/UniProxy/{path}");
        let asked = event("GET", &path, &query, None, &[]).to_string();
        let request = lambda_http::request::from_str(&asked).unwrap();
        let response = node::handle::<Uniproxy>(&service, request).await;
        serde_json::from_slice(response.body()).unwrap()
    };
    let list = pull("user").await;
    let users = list["users"].as_array().unwrap();
    let known: Vec<&Value> = users.iter().map(|user| &user["uuid"]).take(3).collect();
    assert_eq!(known, [FIRST, SECOND, THIRD]);
    assert_eq!((users.len(), &users[0]["device_limit"]), (4, &json!(3)));
    assert_eq!(pull("config").await["tls_settings"]["private_key"], "priv");
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_second_import_of_users_sends_nothing(pool: PgPool) {
    let site = Site::empty(&pool).await;
    let tables = || xboard_users(XBOARD_USERS);
    import(&site, Panel::Xboard, tables(), options()).await;
    let before = held(&site).await;
    site.take_writes();
    // The keys of requests are kept for a day only.
    site.api.world.sql("truncate telecom.answered_call").await;
    let again = import(&site, Panel::Xboard, tables(), options()).await;
    assert_eq!(site.take_writes(), []);
    assert_eq!(
        (again.totals.unchanged, again.totals.moved),
        (4, 0),
        "{again}"
    );
    assert_eq!(held(&site).await, before);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn an_import_that_was_cut_anywhere_is_completed_by_the_next(pool: PgPool) {
    let expected = {
        let site = Site::empty(&pool).await;
        import(&site, Panel::Xboard, xboard_users(XBOARD_USERS), options()).await;
        without_random(held(&site).await)
    };
    for answered in 0..14 {
        let site = Site::empty(&pool).await;
        let tables = "telecom.package_queue, telecom.package, telecom.package_order,
            telecom.node_user, telecom.answered_call";
        site.api
            .world
            .sql(&format!("truncate {tables} restart identity cascade"))
            .await;
        site.answered.store(answered, Ordering::SeqCst);
        let tables = || xboard_users(XBOARD_USERS);
        let cut = import(&site, Panel::Xboard, tables(), options()).await;
        assert!(cut.refused() > 0, "after {answered} requests: {cut}");
        site.answered.store(i64::MAX, Ordering::SeqCst);
        let next = import(&site, Panel::Xboard, tables(), options()).await;
        assert_eq!(next.refused(), 0, "after {answered} requests: {next}");
        let found = without_random(held(&site).await);
        assert_eq!(found, expected, "after {answered} requests");
    }
}

/// The items without the secrets that are random.
fn without_random(mut held: Vec<Value>) -> Vec<Value> {
    for item in &mut held {
        if ![FIRST, SECOND, THIRD]
            .iter()
            .any(|secret| item[0] == *secret)
        {
            item[0] = json!("random");
        }
    }
    held.sort_by_key(Value::to_string);
    held
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn an_item_that_changed_here_stays_as_it_is_unless_it_is_updated(pool: PgPool) {
    let site = Site::empty(&pool).await;
    import(&site, Panel::Xboard, xboard_users(XBOARD_USERS), options()).await;
    // User 17 used more and paid in the panel, user 18 was given bytes here.
    site.api
        .world
        .sql(
            "update telecom.package_queue set adjust_quota_bytes =
        adjust_quota_bytes + 5 where id = 2",
        )
        .await;
    let newer = XBOARD_USERS
        .replacen("\t1\t2\t", "\t1\t1000\t", 1)
        .replacen("1775000001", "1777000000", 1);
    let report = import(&site, Panel::Xboard, xboard_users(&newer), options()).await;
    let actions: Vec<UserAction> = report
        .users
        .iter()
        .map(|user| user.action)
        .take(3)
        .collect();
    assert_eq!(
        actions,
        [
            UserAction::Differs,
            UserAction::Differs,
            UserAction::Unchanged
        ]
    );
    assert_eq!(held(&site).await[0], moved()[0]);

    let update = || of_users(|users| users.update = true);
    import(&site, Panel::Xboard, xboard_users(&newer), update()).await;
    let updated = json!([FIRST, 1, 3, 100 * GIB - 1_001, 0, "active", 1_777_000_000]);
    assert_eq!(
        held(&site).await[..2],
        [updated.clone(), moved()[1].clone()]
    );

    // An item that is used here is not updated.
    site.api
        .world
        .sql("update telecom.package_queue set upload_bytes = 1 where id = 1")
        .await;
    let report = import(&site, Panel::Xboard, xboard_users(XBOARD_USERS), update()).await;
    assert_eq!(report.users[0].action, UserAction::Differs);
    assert_eq!(held(&site).await[0][3], updated[3]);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_user_is_not_moved_again_when_the_series_is_no_longer_sold(pool: PgPool) {
    let site = Site::empty(&pool).await;
    import(&site, Panel::Xboard, xboard_users(XBOARD_USERS), options()).await;
    for change in [
        "update telecom.package set is_master = false, retired_at = now()",
        "update telecom.node_user set secret = gen_random_uuid()",
        "truncate telecom.answered_call",
    ] {
        site.api.world.sql(change).await;
    }
    let before = held(&site).await;
    let report = import(&site, Panel::Xboard, xboard_users(XBOARD_USERS), options()).await;
    assert_eq!(report.refused(), 0, "{report}");
    assert_eq!(held(&site).await, before);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn users_of_an_older_version_of_a_series_are_unchanged(pool: PgPool) {
    let site = Site::empty(&pool).await;
    let tables = || xboard_users(XBOARD_USERS);
    import(&site, Panel::Xboard, tables(), options()).await;
    for change in [
        "update telecom.package set is_master = false",
        "insert into telecom.package (series, version, is_master, name, available_group,
            max_client_number, expire_duration_seconds, traffic_limit_bytes)
        select series, 2, true, name, available_group, max_client_number, 60, 1
        from telecom.package",
    ] {
        site.api.world.sql(change).await;
    }
    let planned = import(&site, Panel::Xboard, tables(), dry()).await;
    assert_eq!(
        (planned.totals.unchanged, planned.totals.moved),
        (4, 0),
        "{planned}"
    );
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn later_resets_are_noted_or_added(pool: PgPool) {
    let site = Site::empty(&pool).await;
    let monthly = "reset_traffic_method";
    assert!(include_str!("xboard/v2_plan.csv").contains(monthly));
    let planned = import(&site, Panel::Xboard, xboard_users(XBOARD_USERS), dry()).await;
    // The plan of user 18 resets each month, nine times until the end of the year.
    let note = "9 later resets of the traffic are not moved (--add-resets adds them)";
    assert!(
        planned.users[1].notes.iter().any(|text| text == note),
        "{planned}"
    );
    let options = of_users(|users| {
        users.add_resets = true;
        users.default_reset = Some(Method::Never);
    });
    import(&site, Panel::Xboard, xboard_users(XBOARD_USERS), options).await;
    assert_eq!(held(&site).await[1][3], 777 + 9 * 50 * GIB);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn banned_and_ended_users_are_included_if_asked(pool: PgPool) {
    let site = Site::empty(&pool).await;
    let options = || {
        of_users(|users| {
            users.include_banned = true;
            users.include_ended = true;
        })
    };
    let report = import(&site, Panel::Xboard, xboard_users(XBOARD_USERS), options()).await;
    assert_eq!(
        (report.totals.moved, report.totals.secrets),
        (5, 3),
        "{report}"
    );
    let secret = "2c9d2c3e-5a6b-4c7d-8e9f-a0b1c2d3e4f5";
    let known = "select count(*) from telecom.node_user
        where secret = '2c9d2c3e-5a6b-4c7d-8e9f-a0b1c2d3e4f5'";
    assert_eq!(site.api.world.number(known).await, 1, "{secret}");
    // A secret that was rotated since stays.
    site.api
        .world
        .sql(&format!(
            "update telecom.node_user set secret = gen_random_uuid()
        where secret = '{secret}'"
        ))
        .await;
    site.take_writes();
    import(&site, Panel::Xboard, xboard_users(XBOARD_USERS), options()).await;
    assert_eq!(site.take_writes(), []);
    assert_eq!(site.api.world.number(known).await, 0);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn users_of_sspanel_have_the_local_times_of_their_panel(pool: PgPool) {
    let site = Site::empty(&pool).await;
    let options = Options {
        skip_unmapped: true,
        ..options()
    };
    let report = import(&site, Panel::Sspanel, sspanel(), options).await;
    assert_eq!(report.refused(), 0, "{report}");
    let expected = [
        json!([FIRST, 1002, 2, 1_000, 0, "active", 1_775_001_600]),
        json!([
            SECOND,
            2001,
            1_000,
            5_000_000_000_i64,
            0,
            "active",
            1_777_564_800
        ]),
    ];
    assert_eq!(held(&site).await, expected);
    assert_eq!(report.users[2].skipped, Some(Skipped::Expired));
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_secret_that_another_user_has_stops_that_user_alone(pool: PgPool) {
    let site = Site::empty(&pool).await;
    site.api
        .world
        .sql(&format!(
            "insert into telecom.node_user (user_id, secret)
        values (gen_random_uuid(), '{FIRST}')"
        ))
        .await;
    let report = import(&site, Panel::Xboard, xboard_users(XBOARD_USERS), options()).await;
    let Outcome::Refused { error } = &report.users[0].outcome else {
        panic!("{report}");
    };
    assert!(
        error.contains("secret_in_use") && !error.contains(FIRST),
        "{error}"
    );
    assert_eq!((report.refused(), held(&site).await.len()), (1, 3));
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn no_secret_is_shown(pool: PgPool) {
    let site = Site::empty(&pool).await;
    let report = import(&site, Panel::Xboard, xboard(), dry()).await;
    let shown = format!("{report} {}", serde_json::to_string(&report).unwrap());
    let lines: Vec<String> = report.users.iter().map(ToString::to_string).collect();
    for secret in [FIRST, SECOND, THIRD, "\"priv\"", "secret word"] {
        assert!(
            !shown.contains(secret) && !lines.concat().contains(secret),
            "{secret}"
        );
    }
}
