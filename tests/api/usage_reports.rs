//! Usage reports of collectors over HTTPS.

use serde_json::{Value, json};
use sqlx::PgPool;
use telecom_tests::node::{Nodes, post};
use telecom_tests::report::report;
use telecom_tests::{CLIENT, GIB, user};

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_collector_without_aws_credentials_sends_reports(pool: PgPool) {
    let nodes = Nodes::new(pool).await;
    let package = nodes.world().package(GIB, 30).await;
    nodes.world().active_item(user(1), package).await;
    let (_, token) = nodes
        .access("usage_report", json!({ "node_client_id": CLIENT }))
        .await;
    let send = async |report: &Value| {
        let asked = post("/v1/usage-reports", "", report.to_string());
        nodes
            .json(asked.with("authorization", format!("Bearer {token}")))
            .await
    };
    let good = report(7, &[(user(1), 10, 20)]);
    let accepted = json!({ "report_id": good["report_id"], "accepted_lines": 1 });
    assert_eq!(send(&good).await, (202, accepted.clone()));
    assert_eq!(
        send(&good).await,
        (202, accepted.clone()),
        "it is not recorded yet"
    );
    nodes.deliver().await;
    assert_eq!(send(&good).await, (200, accepted));
    assert_eq!(nodes.world().usage(user(1)).await, [10, 20, 10, 20]);
    let other = report(7, &[(user(1), 10, 21)]);
    let foreign = json!({ "server_id": 9999 });
    let client = json!({ "usage": [
        { "user": user(1), "upload": 1, "download": 1, "node_client_id": CLIENT + 1 }] });
    let changed = |fields: Value| {
        let mut report = report(8, &[]);
        report
            .as_object_mut()
            .unwrap()
            .extend(fields.as_object().unwrap().clone());
        report
    };
    for (report, status, code, field) in [
        (other, 409, "report_id_reused", Value::Null),
        (
            changed(foreign),
            400,
            "server_not_allowed",
            json!("server_id"),
        ),
        (
            changed(client),
            400,
            "node_client_not_allowed",
            json!("usage[0].node_client_id"),
        ),
        (json!({}), 400, "invalid_field", json!("type")),
    ] {
        let (answered, problem) = send(&report).await;
        let found = (answered, problem["code"].as_str().unwrap());
        assert_eq!(found, (status, code), "{problem}");
        assert!(field.is_null() || problem["field"] == field, "{problem}");
    }
    let asked = post("/v1/usage-reports", "", good.to_string());
    assert_eq!(nodes.json(asked).await.0, 401);
}
