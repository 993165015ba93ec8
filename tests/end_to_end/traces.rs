//! One trace id leads through the logs of all functions that a report passes.

use telecom_tests::user;

use crate::deployed::Deployed;

/// The trace of a report that a collector sends to the queue.
pub const OF_REPORT: &str =
    "Root=1-6123abcd-0123456789abcdef01234567;Parent=00f067aa0ba902b7;Sampled=1";
/// The trace of a push, as W3C writes it.
const OF_PUSH: &str = "00-6123abcd89abcdef0123456701234567-00f067aa0ba902b7-01";

/// A node's push uses up the user's next package. Its trace, and that of the report that used up
/// the package before, are in the logs of all functions on their way.
pub async fn lead_through_all_logs(system: &Deployed<'_>) {
    push(system).await;
    let after_arrival = [
        "bill-traffic",
        "apply-user-usage-billing",
        "handle-package-expiring",
    ];
    let of_report = ["ingest-usage-report"];
    let of_push = ["uniproxy", "ingest-node-usage"];
    for (trace_id, on_arrival) in [
        ("6123abcd0123456789abcdef01234567", &of_report[..]),
        ("6123abcd89abcdef0123456701234567", &of_push[..]),
    ] {
        for function in on_arrival.iter().chain(&after_arrival) {
            let log = system.log(function);
            let is_named = log.contains(&format!(r#""trace_id":"{trace_id}""#));
            assert!(is_named, "{trace_id} in {function}: {log}");
        }
    }
}

async fn push(system: &Deployed<'_>) {
    let add = "with server as (
            insert into telecom.node_server (id, name, compatibility, server_config)
            values (2, 't', 'new_v2b',
                '{\"protocol\":\"vless\",\"server_port\":443,\"network\":\"tcp\",\"tls\":0}')
            returning id
        ), client as (
            insert into telecom.node_client (id, node_server_id, name, traffic_factor, country,
                access_groups)
            select 2, id, 'c', 1, 'DE', '{1}' from server returning id, node_server_id
        )
        insert into telecom.node_access (token_hash, protocol, software, node_server_id,
            node_client_id, interval_seconds, client_timeout_seconds, created_at)
        select sha256('traced'), 'uniproxy', 'v2bx', node_server_id, id, 60, 30, now() from client";
    sqlx::query(add).execute(&system.pool).await.unwrap();
    let number = "select number from telecom.node_user where user_id = $1";
    let number: i32 = sqlx::query_scalar(number)
        .bind(user(1))
        .fetch_one(&system.pool)
        .await
        .unwrap();
    let path = "/api/v1/server/UniProxy/push?token=traced&node_id=2&node_type=vless";
    let body = format!("{{\"{number}\":[150,150]}}");
    assert_eq!(system.post(path, &body, &[("traceparent", OF_PUSH)]), 200);
    let recorded = "select count(*) = 1 from telecom.usage_report where node_server_id = 2";
    system.until("the push is recorded", recorded).await;
    system.bill().await;
    for (what, condition) in [
        (
            "the second package is consumed",
            "select bool_and(status = 'consumed') from telecom.package_queue
            where by_order is null",
        ),
        (
            "all facts are on the bus",
            "select count(*) = 0 from telecom.outbox",
        ),
    ] {
        system.until(what, condition).await;
    }
}
