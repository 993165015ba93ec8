//! Access control by role, operation and transport, over load balancer events and a gRPC socket.

mod callers;

use jsonwebtoken::Algorithm;
use rstest::rstest;
use serde_json::{Value, json};
use sqlx::PgPool;
use telecom_tests::api::{Api, OPERATIONS, Operation, event};
use telecom_tests::log::Log;
use telecom_tests::token::{Issuer, claims};
use telecom_tests::{NOW, World, at, user};
use tonic::Code;
use tonic_types::StatusExt;

use callers::callers;

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn every_caller_gets_the_documented_access_on_both_transports(pool: PgPool) {
    let issuer = Issuer::new(&[Algorithm::EdDSA, Algorithm::RS256, Algorithm::ES256]);
    let api = Api::over_both(World::new(pool).await, issuer).await;
    let callers = callers(&api.issuer);
    for operation in OPERATIONS.iter() {
        for (caller, token, outcomes) in &callers {
            let what = format!("{caller}: {}", operation.method);
            let scope = operation.admin.then(|| 1 + usize::from(operation.changes));
            let (status, code) = outcomes[scope.unwrap_or_default()];
            let granted = status == 200;
            let status = if granted { operation.status } else { status };
            let (answered, body) = api.ask(operation, operation.query, token.as_deref()).await;
            assert_eq!(
                (answered, granted || body["code"] == code),
                (status, true),
                "HTTP, {what}"
            );
            let message = serde_json::from_str(operation.message).unwrap();
            let (answered, reason) = match api.call(operation, message, token.as_deref()).await {
                Ok(_) => (Code::Ok, String::new()),
                Err(status) => (
                    status.code(),
                    status.get_details_error_info().unwrap().reason,
                ),
            };
            let expected = match status {
                _ if granted => operation.code(),
                401 => Code::Unauthenticated,
                _ => Code::PermissionDenied,
            };
            assert_eq!(
                (answered, granted || reason == code),
                (expected, true),
                "gRPC, {what}"
            );
        }
    }
}

/// A proxy may have verified the other token.
#[tokio::test]
async fn a_request_with_two_tokens_is_refused_on_both_transports() {
    let api = Api::over_both(World::offline(), Issuer::default()).await;
    let admin = format!("Bearer {}", api.issuer.admin());
    for second in [
        admin.clone(),
        format!("Bearer {}", api.issuer.user(user(2))),
        String::new(),
    ] {
        let mut event = event("GET", "/v1/nodes", "", None, &[]);
        event["multiValueHeaders"]["authorization"] = json!([admin, second]);
        let answer = api.invoke(event).await;
        assert_eq!(answer["statusCode"], 401);
        assert!(
            answer["body"].as_str().unwrap().contains("token_malformed"),
            "{answer}"
        );
        let mut request = tonic::Request::new(json!({}));
        request
            .metadata_mut()
            .append("authorization", admin.parse().unwrap());
        request
            .metadata_mut()
            .append("authorization", second.parse().unwrap());
        let status = api
            .grpc_with("telecom.v1.Telecom/ListNodes", request)
            .await
            .unwrap_err();
        let reason = status.get_details_error_info().unwrap().reason;
        assert_eq!(
            (status.code(), reason.as_str()),
            (Code::Unauthenticated, "token_malformed")
        );
    }
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_user_sees_only_their_own_data(pool: PgPool) {
    let world = World::new(pool).await;
    let package = world.package(telecom_tests::GIB, 30).await;
    world.active_item(user(1), package).await;
    world
        .sql("update telecom.node_client set access_groups = '{1}'")
        .await;
    world
        .sql(
            "insert into telecom.node_status_history (node_server_id, status, created_at) \
        values (1, 'online', '2026-03-10T10:00:00Z')",
        )
        .await;
    world
        .sql("refresh materialized view telecom.node_status_hourly_mv")
        .await;
    world
        .sql(
            "insert into telecom.online_address (user_number, node_client_id, address_hash,
        seen_at) values (1, 11, '', '2026-03-10T10:30:00Z')",
        )
        .await;
    let body = telecom_tests::report::report_of(1, 1, at(NOW), &[(user(1), 10, 20)]);
    world.assert_reports_accepted(&[body.to_string()]).await;
    world.deliver_all().await;
    let api = Api::over_both(world, Issuer::default()).await;
    let of_users = |operation: &&Operation| !operation.admin && !operation.changes;
    for operation in OPERATIONS.iter().filter(of_users) {
        let mine = api
            .get(
                operation.path,
                operation.query,
                Some(&api.issuer.user(user(1))),
            )
            .await
            .1;
        let theirs = api
            .get(
                operation.path,
                operation.query,
                Some(&api.issuer.user(user(2))),
            )
            .await
            .1;
        assert_ne!(mine, theirs, "{}", operation.path);
        assert_eq!(shown(&theirs), 0, "{}", operation.path);
        let message: Value = serde_json::from_str(operation.message).unwrap();
        let mine = api
            .grpc(
                operation.method,
                message.clone(),
                Some(&api.issuer.user(user(1))),
            )
            .await
            .unwrap();
        let theirs = api
            .grpc(operation.method, message, Some(&api.issuer.user(user(2))))
            .await
            .unwrap();
        assert_ne!(mine, theirs, "{}", operation.method);
        assert_eq!(shown(&theirs), 0, "{}", operation.method);
        assert!(shown(&mine) > 0, "{}", operation.method);
    }
}

/// Number of nodes, hours, availability entries, online clients and bytes in a response.
fn shown(answer: &Value) -> u64 {
    let lists = answer.as_object().unwrap().iter();
    let lists = lists.filter_map(|(name, value)| Some((name.as_str(), value.as_array()?)));
    // Buckets exist without traffic, so their bytes count.
    let bytes =
        |bucket: &Value| bucket["upload"].as_u64().unwrap() + bucket["download"].as_u64().unwrap();
    lists
        .map(|(name, items)| match name {
            "raw" | "actually_billed" => items.iter().map(bytes).sum(),
            _ => items.len() as u64,
        })
        .sum()
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn secrets_are_shown_only_on_request_and_with_the_scope(pool: PgPool) {
    let world = World::new(pool).await;
    world
        .sql(
            r#"update telecom.node_server set server_config = '{"port": 443,
    "server_key": "s3cret"}'"#,
        )
        .await;
    world
        .sql(
            r#"update telecom.node_client
    set client_config = '{"tls": {"private_key": "s3cret"}}'"#,
        )
        .await;
    let api = Api::over_both(world, Issuer::default()).await;
    let (admin, keeper) = (api.issuer.admin(), api.issuer.admin_with_secrets());
    let only_secrets = api.issuer.sign(&claims(user(1), "telecom:secrets"));
    let log = Log::begin();
    for (path, method, id) in [
        (
            "/v1/admin/node-servers/1",
            "telecom.v1.NodeServerManage/ShowNodeServer",
            1,
        ),
        (
            "/v1/admin/node-clients/11",
            "telecom.v1.NodeClientManage/ShowNodeClient",
            11,
        ),
    ] {
        for (token, query, status, shown) in [
            (&admin, "", 200, false),
            (&keeper, "", 200, false),
            (&keeper, "reveal_secrets=true", 200, true),
            (&admin, "reveal_secrets=true", 403, false),
            (&only_secrets, "reveal_secrets=true", 403, false),
        ] {
            let (answered, body) = api.get(path, query, Some(token)).await;
            assert_eq!(
                (answered, body.to_string().contains("s3cret")),
                (status, shown),
                "{path} {query}"
            );
            let message = json!({ "id": id, "reveal_secrets": !query.is_empty() });
            let answer = api.grpc(method, message, Some(token)).await;
            assert_eq!(answer.is_ok(), status == 200, "{method}");
            assert_eq!(
                answer.is_ok_and(|body| body.to_string().contains("s3cret")),
                shown,
                "{method}"
            );
        }
    }
    // `tests/api/audit.rs` checks that the access is recorded. The log must not contain
    // the secrets.
    let seen = log.take("");
    assert!(
        !seen.iter().any(|line| line.to_string().contains("s3cret")),
        "{seen:?}"
    );
    let list = api.get("/v1/admin/node-clients", "", Some(&keeper)).await.1;
    assert!(!list.to_string().contains("s3cret"), "{list}");
}

/// No spelling of an administrator's path gives a user access, and no variant of a user's path is
/// served.
#[rstest]
#[case("/v1/nodes/%2e%2e/admin/node-servers")]
#[case("/v1/nodes/../admin/node-servers")]
#[case("/v1//admin/node-servers")]
#[case("//v1/admin/node-servers")]
#[case("/v1/Admin/node-servers")]
#[case("/V1/admin/node-servers")]
#[case("/v1/admin/node-servers/")]
#[case("/v1%2fadmin%2fnode-servers")]
#[case("/v1/admin/node-servers/1/")]
#[case("/v1/admin/node-servers/1%2f..")]
#[case("/v1/admin/node-servers/..%2f..%2fnodes")]
#[case("/v1/admin/node-clients/../node-servers/1")]
#[case("/v1/nodes;x=1")]
#[case("/v1/nodes%00")]
#[case("/v1/node%73")]
#[tokio::test]
async fn path_tricks_do_not_bypass_access_control(#[case] path: &str) {
    let api = Api::over_http(World::offline());
    for token in [api.issuer.user(user(1)), api.issuer.admin()] {
        let response = api.send(event("GET", path, "", Some(&token), &[])).await;
        let status = response.status().as_u16();
        assert!([400, 403, 404].contains(&status), "{path}: {status}");
    }
}
