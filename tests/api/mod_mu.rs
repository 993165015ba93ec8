//! `mod_mu`, as nodes of SSPanel use it.

use serde_json::json;
use sqlx::PgPool;
use telecom_tests::node::{Nodes, get, header, post};
use telecom_tests::{CLIENT, user};

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_node_of_sspanel_gets_its_settings_and_users_and_reports(pool: PgPool) {
    let (nodes, query) = Nodes::mod_mu(pool).await;
    let info = get(&format!("/mod_mu/nodes/{CLIENT}/info"), &query);
    let response = nodes.send(&info).await;
    let expected = concat!(
        r#"{"ret":1,"data":{"node_speedlimit":0,"sort":11,"server":"n.example","#,
        r#""custom_config":{"network":"ws","offset_port_node":"443"},"#,
        r#""type":"SSPanel-UIM","version":"2022.12"}}"#
    );
    assert_eq!(
        String::from_utf8(response.body().to_vec()).unwrap(),
        expected
    );
    let tag = header(&response, "etag");
    assert!(tag.starts_with("W/\""), "{tag}");
    assert_eq!(
        nodes.send(&info.with("if-none-match", tag)).await.status(),
        304
    );
    let users = nodes.send(&get("/mod_mu/users", &query)).await;
    let expected = format!(
        r#"{{"ret":1,"data":[{{"id":1,"node_speedlimit":0,"node_iplimit":3,"uuid":"{}"}}]}}"#,
        nodes.secret(1).await
    );
    assert_eq!(String::from_utf8(users.body().to_vec()).unwrap(), expected);
    let tag = header(&users, "etag");
    let pull = get("/mod_mu/users", &query).with("if-none-match", tag);
    assert_eq!(nodes.send(&pull).await.status(), 304);
    let ok = r#"{"ret":1,"msg":"ok"}"#;
    for (path, body, answer) in [
        (
            "users/traffic",
            r#"{"data":[{"user_id":1,"u":1000,"d":2000}]}"#,
            ok,
        ),
        (
            "users/aliveip",
            r#"{"data":[{"user_id":1,"ip":"203.0.113.7"}]}"#,
            ok,
        ),
        (
            "users/detectlog",
            r#"{"data":[{"list_id":3,"user_id":1}]}"#,
            ok,
        ),
        (
            &format!("nodes/{CLIENT}/info"),
            r#"{"uptime":"60","load":"0.1 0.2 0.3"}"#,
            r#"{"ret":1}"#,
        ),
    ] {
        let answered = nodes
            .text(post(&format!("/mod_mu/{path}"), &query, body))
            .await;
        assert_eq!(answered, (200, answer.to_owned()), "{path}");
    }
    let ping = nodes.text(get("/mod_mu/func/ping", &query)).await;
    assert_eq!(ping, (200, r#"{"ret":1,"msg":"Pong? Pong!"}"#.to_owned()));
    let rules = nodes.text(get("/mod_mu/func/detect_rules", &query)).await;
    assert_eq!(rules, (200, r#"{"ret":1,"data":[]}"#.to_owned()));
    nodes.deliver().await;
    assert_eq!(nodes.world().usage(user(1)).await, [1000, 2000, 1000, 2000]);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn errors_of_mod_mu_have_the_status_200_but_for_a_wrong_key(pool: PgPool) {
    let (nodes, query) = Nodes::mod_mu(pool).await;
    let refused = nodes
        .text(get("/mod_mu/users", &format!("key=wrong&node_id={CLIENT}")))
        .await;
    assert_eq!(
        refused,
        (401, r#"{"ret":0,"msg":"Invalid request."}"#.to_owned())
    );
    let (status, body) = nodes.json(post("/mod_mu/users/traffic", &query, "{")).await;
    assert_eq!((status, &body["ret"]), (200, &json!(0)), "{body}");
    let (status, body) = nodes.json(get("/mod_mu/none", &query)).await;
    assert_eq!((status, &body["ret"]), (200, &json!(0)), "{body}");
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_pull_reads_the_client_and_its_configuration_together(pool: PgPool) {
    let (nodes, query) = Nodes::mod_mu(pool).await;
    let info = get(&format!("/mod_mu/nodes/{CLIENT}/info"), &query);
    let users = get("/mod_mu/users", &query);
    // The first requests read the access, and record that the server is online.
    let tag = header(&nodes.send(&users).await, "etag");
    let before = nodes.calls("").await;
    nodes.send(&info).await;
    assert_eq!(nodes.calls("").await - before, 1);
    let unchanged = nodes.send(&users.with("if-none-match", tag)).await;
    assert_eq!(unchanged.status(), 304);
    assert_eq!(nodes.calls("").await - before, 3);
}
