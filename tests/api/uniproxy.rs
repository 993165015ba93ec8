//! UniProxy, as nodes of V2board and Xboard use it.

use std::io::Read as _;

use chrono::TimeDelta;
use flate2::read::GzDecoder;
use rstest::rstest;
use serde_json::{Value, json};
use shared::services::node::NodeService;
use sqlx::PgPool;
use telecom_tests::log::Log;
use telecom_tests::node::{Asked, Nodes, V1, get, header, post};
use telecom_tests::{CLIENT, NOW, SERVER, at, user};

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_node_gets_its_configuration_once(pool: PgPool) {
    let (nodes, query) = Nodes::uniproxy(pool).await;
    for path in [V1, "/api/v2/server/UniProxy", "/api/v2/server"] {
        let config = get(&format!("{path}/config"), &query).with("if-none-match", "");
        let response = nodes.send(&config).await;
        assert_eq!(response.status(), 200);
        let body: Value = serde_json::from_slice(response.body()).unwrap();
        let expected = json!({ "protocol": "vless", "server_port": 443, "network": "tcp", "tls": 0,
            "routes": [], "base_config": { "push_interval": 60, "pull_interval": 60 } });
        assert_eq!(body, expected);
        let tag = header(&response, "etag");
        let again = nodes
            .send(&config.clone().with("if-none-match", tag.clone()))
            .await;
        // Of two headers with the same name, the test's event keeps the last one.
        assert_eq!(
            (again.status().as_u16(), header(&again, "etag")),
            (304, tag)
        );
        assert!(again.body().is_empty());
    }
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn the_list_of_users_is_sent_again_only_after_it_changed(pool: PgPool) {
    let (nodes, query) = Nodes::uniproxy(pool).await;
    let pull = get(&format!("{V1}/user"), &query);
    let response = nodes.send(&pull).await;
    let expected = format!(
        concat!(
            r#"{{"users":[{{"id":1,"uuid":"{}","speed_limit":0,"device_limit":3}},"#,
            r#"{{"id":2,"uuid":"{}","speed_limit":0,"device_limit":3}}]}}"#
        ),
        nodes.secret(1).await,
        nodes.secret(2).await
    );
    assert_eq!(
        String::from_utf8(response.body().to_vec()).unwrap(),
        expected
    );
    assert_eq!(header(&response, "content-type"), "application/json");
    let tag = header(&response, "etag");
    let pull = pull.with("if-none-match", tag);
    assert_eq!(nodes.send(&pull).await.status(), 304);
    nodes
        .world()
        .sql("update telecom.package_queue set expires_at = '2028-01-01Z'")
        .await;
    assert_eq!(nodes.send(&pull).await.status(), 304);
    for change in [
        "update telecom.package_queue set adjust_quota_bytes = -2000000000 where id = 1",
        "update telecom.node_client set speed_limit_bits_per_second = 1500000",
        "update telecom.node_client set access_groups = '{1,2}'",
    ] {
        nodes.world().sql(change).await;
        assert_eq!(nodes.send(&pull).await.status(), 200, "{change}");
    }
    let (_, list) = nodes.json(get(&format!("{V1}/user"), &query)).await;
    assert_eq!(list["users"].as_array().unwrap().len(), 1);
    assert_eq!(
        (&list["users"][0]["id"], &list["users"][0]["speed_limit"]),
        (&json!(2), &json!(2))
    );
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn an_empty_list_has_one_user_that_does_not_exist(pool: PgPool) {
    let (nodes, query) = Nodes::uniproxy(pool).await;
    nodes.world().sql("delete from telecom.package_queue").await;
    let (status, list) = nodes.json(get(&format!("{V1}/user"), &query)).await;
    let users = list["users"].as_array().unwrap();
    assert_eq!(
        (status, users.len(), &users[0]["id"]),
        (200, 1, &json!(i32::MAX))
    );
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_long_list_is_compressed_for_nodes_that_accept_it(pool: PgPool) {
    let (nodes, query) = Nodes::uniproxy(pool).await;
    nodes
        .world()
        .sql(
            "insert into telecom.package_queue
                (user_id, package_id, status, activated_at, expires_at)
            select gen_random_uuid(), 1, 'active', now(), '2028-01-01Z'
            from generate_series(1, 30000)",
        )
        .await;
    let pull = get(&format!("{V1}/user"), &query);
    let (status, problem) = nodes.json(pull.clone()).await;
    assert_eq!(
        (status, &problem["code"]),
        (400, &json!("answer_too_large"))
    );
    let response = nodes.send(&pull.with("accept-encoding", "gzip")).await;
    assert_eq!(
        (
            response.status().as_u16(),
            header(&response, "content-encoding").as_str()
        ),
        (200, "gzip")
    );
    let mut text = String::new();
    GzDecoder::new(response.body().as_ref())
        .read_to_string(&mut text)
        .unwrap();
    let list: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(list["users"].as_array().unwrap().len(), 30_002);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_head_request_returns_no_body(pool: PgPool) {
    let (nodes, query) = Nodes::uniproxy(pool).await;
    let head = Asked {
        method: "HEAD",
        ..get(&format!("{V1}/user"), &query)
    };
    let response = nodes.send(&head).await;
    assert_eq!(
        (response.status().as_u16(), response.body().is_empty()),
        (200, true)
    );
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn pushes_are_billed_by_the_factor_of_the_client(pool: PgPool) {
    let (nodes, query) = Nodes::uniproxy(pool).await;
    nodes
        .world()
        .sql("update telecom.node_client set traffic_factor = 2")
        .await;
    let push = |body: &str| post(&format!("{V1}/push"), &query, body);
    let answer = (200, r#"{"data":true}"#.to_owned());
    assert_eq!(
        nodes.text(push(r#"{"1":[1000,2000],"2":[5,0]}"#)).await,
        answer
    );
    // The same push again, as after a lost answer.
    assert_eq!(
        nodes.text(push(r#"{"2":[5,0],"1":[1000,2000]}"#)).await,
        answer
    );
    nodes.deliver().await;
    assert_eq!(nodes.world().usage(user(1)).await, [1000, 2000, 2000, 4000]);
    assert_eq!(nodes.world().usage(user(2)).await, [5, 0, 10, 0]);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_report_carries_credentials_traffic_addresses_and_metrics_in_its_body(pool: PgPool) {
    let (nodes, query) = Nodes::uniproxy(pool).await;
    let token = query.split(['=', '&']).nth(1).unwrap();
    let body = json!({ "token": token, "node_id": CLIENT, "traffic": { "1": [10, 20] },
        "alive": { "1": ["203.0.113.7"] }, "status": { "cpu": 12.5 } });
    let report = post("/api/v2/server/report", "", body.to_string());
    assert_eq!(
        nodes.text(report).await,
        (200, r#"{"data":true}"#.to_owned())
    );
    nodes.deliver().await;
    assert_eq!(nodes.world().usage(user(1)).await, [10, 20, 10, 20]);
    let (_, alive) = nodes.json(get(&format!("{V1}/alivelist"), &query)).await;
    assert_eq!(alive, json!({ "alive": { "1": 1 } }));
    let cpu = "select (cpu_percent * 10)::bigint from telecom.node_server_heartbeat";
    assert_eq!(nodes.world().number(cpu).await, 125);
}

#[rstest]
#[case::nothing("{}")]
#[case::php_nothing("[]")]
#[case::floats(r#"{"1":[1e3,2000.0]}"#)]
#[case::texts(r#"{"1":["1000","2000"]}"#)]
#[case::extra_keys(r#"{"1":[1000,2000],"server":"x","7":[1],"-1":[1,2]}"#)]
#[case::unknown_users(r#"{"999999":[1000,2000]}"#)]
#[case::other_json("7")]
#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_push_that_can_be_kept_is_accepted(#[ignore] pool: PgPool, #[case] body: &str) {
    let (nodes, query) = Nodes::uniproxy(pool).await;
    let answer = nodes.text(post(&format!("{V1}/push"), &query, body)).await;
    assert_eq!(answer, (200, r#"{"data":true}"#.to_owned()));
    nodes.deliver().await;
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_push_of_100000_rows_is_recorded_in_parts(pool: PgPool) {
    let (nodes, query) = Nodes::uniproxy(pool).await;
    let rows: Vec<String> = (1..=100_000).map(|n| format!(r#""{n}":[{n},1]"#)).collect();
    let push = post(
        &format!("{V1}/push"),
        &query,
        format!("{{{}}}", rows.join(",")),
    );
    assert_eq!(nodes.text(push).await.0, 200);
    assert_eq!(nodes.queue.bodies().len(), 5);
    nodes.deliver().await;
    assert_eq!(nodes.world().usage(user(2)).await, [2, 1, 2, 1]);
    let lost = "select coalesce(sum(a), 0)::bigint from telecom.doubtful_push,
        unnest(upload_bytes) a";
    assert_eq!(nodes.world().number(lost).await, 100_000 * 100_001 / 2 - 3);
}

#[rstest]
#[case::not_gzip(b"{}".to_vec(), "malformed_gzip")]
#[case::cut_off(vec![0x1f, 0x8b, 8, 0], "malformed_gzip")]
#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_body_that_is_not_gzip_is_refused(
    #[ignore] pool: PgPool,
    #[case] body: Vec<u8>,
    #[case] code: &str,
) {
    let (nodes, query) = Nodes::uniproxy(pool).await;
    let push = post(&format!("{V1}/push"), &query, body).with("content-encoding", "gzip");
    let (status, problem) = nodes.json(push).await;
    assert_eq!((status, problem["code"].as_str()), (400, Some(code)));
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn only_a_valid_token_for_the_node_is_accepted(pool: PgPool) {
    let (nodes, query) = Nodes::uniproxy(pool).await;
    let (_, mod_mu) = nodes.access("mod_mu", json!({})).await;
    let networks = json!({ "allowed_networks": ["203.0.113.0/24"] });
    let (_, bound) = nodes.access("uniproxy", networks).await;
    let path = format!("{V1}/user");
    let asked = |query: &str| get(&path, query);
    let refused = [
        (asked(&format!("node_id={CLIENT}")), "token_missing"),
        (
            asked(&format!("token=wrong&node_id={CLIENT}")),
            "node_token_invalid",
        ),
        (
            asked(&format!("token={mod_mu}&node_id={CLIENT}")),
            "node_token_invalid",
        ),
        (
            asked(&format!("token={bound}&node_id={CLIENT}")),
            "node_token_invalid",
        ),
        (
            asked(&format!("token={bound}&node_id={CLIENT}"))
                .with("x-forwarded-for", "203.0.113.7, 198.51.100.1"),
            "node_token_invalid",
        ),
        (
            asked(&query.replace(&format!("node_id={CLIENT}"), "node_id=9999")),
            "node_not_allowed",
        ),
        (
            asked(&format!("{query}&machine_id=9999")),
            "node_not_allowed",
        ),
        (
            post(&format!("{V1}/push"), &query, r#"{"token":"another"}"#),
            "credentials_differ",
        ),
    ];
    for (asked, code) in refused {
        let (status, problem) = nodes.json(asked.clone()).await;
        assert_eq!(
            (status, problem["code"].as_str()),
            (401, Some(code)),
            "{asked:?}"
        );
    }
    let allowed = asked(&format!("token={bound}&node_id={CLIENT}"))
        .with("x-forwarded-for", "198.51.100.1, 203.0.113.7");
    assert_eq!(nodes.send(&allowed).await.status(), 200);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_revoked_or_archived_access_is_refused_after_half_a_minute(pool: PgPool) {
    let (nodes, query) = Nodes::uniproxy(pool).await;
    let pull = get(&format!("{V1}/user"), &query);
    assert_eq!(nodes.send(&pull).await.status(), 200);
    let headers = [("idempotency-key", "revoke")];
    let path = "/v1/admin/node-access/1/revocation";
    let (status, revoked) = nodes
        .api
        .change("PUT", path, &headers, &json!({ "reason": "stolen" }))
        .await;
    assert_eq!(status, 200, "{revoked}");
    nodes.world().clock.set(at(NOW) + TimeDelta::seconds(30));
    assert_eq!(nodes.send(&pull).await.status(), 401);
    let (_, token) = nodes
        .access("uniproxy", json!({ "interval_seconds": 61 }))
        .await;
    let pull = get(
        &format!("{V1}/user"),
        &format!("token={token}&node_id={CLIENT}"),
    );
    assert_eq!(nodes.send(&pull).await.status(), 200);
    nodes
        .world()
        .sql("update telecom.node_server set archived_at = now()")
        .await;
    nodes.world().clock.set(at(NOW) + TimeDelta::seconds(60));
    assert_eq!(nodes.send(&pull).await.status(), 401);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn pushes_are_accepted_while_the_database_is_unreachable(pool: PgPool) {
    let (nodes, query) = Nodes::uniproxy(pool).await;
    let push = post(&format!("{V1}/push"), &query, r#"{"1":[1,2]}"#);
    assert_eq!(nodes.send(&push).await.status(), 200);
    nodes.world().node.close().await;
    nodes.world().clock.set(at(NOW) + TimeDelta::minutes(9));
    assert_eq!(nodes.send(&push).await.status(), 200);
    let pull = get(&format!("{V1}/user"), &query);
    assert!(nodes.send(&pull).await.status().is_server_error());
    nodes.deliver().await;
    assert_eq!(nodes.world().usage(user(1)).await, [2, 4, 2, 4]);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_push_fails_if_the_queue_does_not_accept_it(pool: PgPool) {
    let (mut nodes, query) = Nodes::uniproxy(pool).await;
    let publisher = telecom_tests::unreachable_publisher();
    let world = nodes.world();
    nodes.service = NodeService::new(world.node.clone(), world.context(), publisher);
    let push = post(&format!("{V1}/push"), &query, r#"{"1":[1,2]}"#);
    assert_eq!(nodes.send(&push).await.status(), 503);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_machine_learns_its_nodes_and_polls(pool: PgPool) {
    let (nodes, query) = Nodes::uniproxy(pool).await;
    let token = query.split(['=', '&']).nth(1).unwrap();
    let credentials = json!({ "token": token, "machine_id": SERVER }).to_string();
    let asked = |name: &str| post(&format!("/api/v2/server/{name}"), "", credentials.clone());
    let expected = format!(
        concat!(
            r#"{{"nodes":[{{"id":{},"type":"vless","name":"c{}"}}],"#,
            r#""base_config":{{"push_interval":60,"pull_interval":60}}}}"#
        ),
        CLIENT, CLIENT
    );
    assert_eq!(nodes.text(asked("machine/nodes")).await, (200, expected));
    let handshake = (200, r#"{"websocket":{"enabled":false}}"#.to_owned());
    assert_eq!(nodes.text(asked("handshake")).await, handshake);
    assert_eq!(
        nodes.text(asked("machine/status")).await.1,
        r#"{"data":true}"#
    );
    let status = post(&format!("{V1}/status"), &query, r#"{"cpu":50}"#);
    let answer = r#"{"data":true,"code":0,"message":"success"}"#;
    assert_eq!(nodes.text(status).await.1, answer);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn no_log_contains_a_token_an_address_or_a_body(pool: PgPool) {
    let (nodes, query) = Nodes::uniproxy(pool).await;
    let log = Log::of_everything();
    let token = query.split(['=', '&']).nth(1).unwrap();
    for asked in [
        get(&format!("{V1}/user"), &query),
        post(&format!("{V1}/push"), &query, r#"{"1":[31337,2]}"#),
        post(&format!("{V1}/push"), &query, r#"{"secret31337"#),
        post(&format!("{V1}/alive"), &query, r#"{"1":["203.0.113.31"]}"#),
        get(&format!("{V1}/user"), "token=wrong31337&node_id=1"),
    ] {
        nodes
            .send(&asked.with("x-forwarded-for", "203.0.113.32"))
            .await;
    }
    let text = log.take_text();
    assert!(text.contains("node request completed"), "{text}");
    for secret in [token, "31337", "203.0.113"] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
}
