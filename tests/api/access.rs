//! Access control by role, operation and transport, over load balancer events and a gRPC socket.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use rstest::rstest;
use serde_json::{Value, json};
use sqlx::PgPool;
use telecom_tests::api::{Api, OPERATIONS, event};
use telecom_tests::log::Log;
use telecom_tests::token::{AUDIENCE, Issuer, claims};
use telecom_tests::{NOW, World, at, user};
use tonic::Code;
use tonic_types::StatusExt;

/// Expected HTTP status and error code of an operation of users and of one of administrators.
type Outcomes = [(u16, &'static str); 2];

const GRANTED: (u16, &str) = (200, "");
const NO_TOKEN: Outcomes = [(401, "token_missing"); 2];
const NOT_VALID: Outcomes = [(401, "token_invalid"); 2];

const TOO_LONG: Outcomes = [(401, "token_lifetime_too_long"); 2];

/// Every kind of caller with the documented outcomes.
#[expect(clippy::too_many_lines, reason = "a table of cases")]
fn callers(issuer: &Issuer) -> Vec<(&'static str, Option<String>, Outcomes)> {
    let with = |name: &str, value: Value| {
        let mut claims = claims(user(1), "telecom:admin");
        claims[name] = value;
        Some(issuer.sign(&claims))
    };
    let now = at(NOW).timestamp();
    let of_type = |typ: Option<&str>| {
        let header = Header {
            typ: typ.map(str::to_owned),
            ..Header::default()
        };
        Some(issuer.sign_header(header, &claims(user(1), "telecom:admin")))
    };
    let critical = |crit: &[&str]| {
        let crit = Some(crit.iter().map(|&name| name.to_owned()).collect());
        Some(issuer.sign_header(
            Header {
                crit,
                ..Header::default()
            },
            &claims(user(1), "telecom:admin"),
        ))
    };
    let living = |issued_at: Option<i64>, expires_at: i64| {
        let mut claims = claims(user(1), "telecom:admin");
        claims["exp"] = json!(expires_at);
        if let Some(at) = issued_at {
            claims["iat"] = json!(at);
        }
        Some(issuer.sign(&claims))
    };
    let day = 86_400;
    let admin = claims(user(1), "telecom:admin");
    let mut endless = claims(user(1), "telecom:admin");
    endless.as_object_mut().unwrap().remove("exp");
    let part = |json: Value| BASE64_URL_SAFE_NO_PAD.encode(json.to_string());
    let unsigned = format!(
        "{}.{}.",
        part(json!({ "alg": "none", "kid": "k0" })),
        part(claims(user(1), "telecom:admin"))
    );
    vec![
        ("no token", None, NO_TOKEN),
        (
            "expired",
            with("exp", json!(now - 31)),
            [(401, "token_expired"); 2],
        ),
        (
            "expired, within the leeway",
            with("exp", json!(now - 29)),
            [GRANTED; 2],
        ),
        (
            "not yet valid",
            with("nbf", json!(now + 31)),
            [(401, "token_not_yet_valid"); 2],
        ),
        (
            "not yet valid, within the leeway",
            with("nbf", json!(now + 29)),
            [GRANTED; 2],
        ),
        (
            "another issuer's claim",
            with("iss", json!("https://other.test")),
            NOT_VALID,
        ),
        ("another audience", with("aud", json!("shop")), NOT_VALID),
        (
            "several audiences, ours among them",
            with("aud", json!(["shop", AUDIENCE])),
            [GRANTED; 2],
        ),
        (
            "subject is no user id",
            with("sub", json!("admin")),
            NOT_VALID,
        ),
        ("no expiry", Some(issuer.sign(&endless)), NOT_VALID),
        (
            "signed with another key under a known key's id",
            Some(Issuer::default().admin()),
            NOT_VALID,
        ),
        ("no type", of_type(None), [GRANTED; 2]),
        ("type at+jwt", of_type(Some("AT+jwt")), [GRANTED; 2]),
        (
            "type application/at+jwt",
            of_type(Some("application/at+jwt")),
            [GRANTED; 2],
        ),
        ("type logout+jwt", of_type(Some("logout+jwt")), NOT_VALID),
        (
            "an unknown critical header",
            critical(&["exp", "b64"]),
            NOT_VALID,
        ),
        (
            "an empty list of critical headers",
            critical(&[]),
            NOT_VALID,
        ),
        ("valid for a day", living(None, now + day), [GRANTED; 2]),
        (
            "valid for more than a day",
            living(None, now + day + 31),
            TOO_LONG,
        ),
        (
            "issued for more than a day, about to expire",
            living(Some(now - day), now + 60),
            TOO_LONG,
        ),
        (
            "issued for a day, about to expire",
            living(Some(now - day + 60), now + 60),
            [GRANTED; 2],
        ),
        (
            "issued in the future, for longer than a day from now",
            living(Some(now + day), now + 2 * day),
            TOO_LONG,
        ),
        ("alg: none", Some(unsigned), [(401, "token_malformed"); 2]),
        (
            "signed with the public key as a secret",
            Some(confused(issuer)),
            NOT_VALID,
        ),
        (
            "signed with the RSA key by RS512",
            Some(issuer.sign_as(1, 1, Algorithm::RS512, &admin)),
            NOT_VALID,
        ),
        (
            "signed with the RSA key by PS256",
            Some(issuer.sign_as(1, 1, Algorithm::PS256, &admin)),
            NOT_VALID,
        ),
        (
            "by ES256 under the RSA key's id",
            Some(issuer.sign_as(2, 1, Algorithm::ES256, &admin)),
            NOT_VALID,
        ),
        (
            "by EdDSA under the ES256 key's id",
            Some(issuer.sign_as(0, 2, Algorithm::EdDSA, &admin)),
            NOT_VALID,
        ),
        (
            "signed with an unknown key",
            Some(unknown_key()),
            [(401, "token_key_unknown"); 2],
        ),
        ("nonsense", Some("x".into()), [(401, "token_malformed"); 2]),
        (
            "a user",
            Some(issuer.user(user(1))),
            [GRANTED, (403, "scope_missing")],
        ),
        (
            "another user",
            Some(issuer.user(user(2))),
            [GRANTED, (403, "scope_missing")],
        ),
        (
            "a user whose scope only starts like the administrator's",
            with("scope", json!("telecom:administrator")),
            [GRANTED, (403, "scope_missing")],
        ),
        ("an administrator", Some(issuer.admin()), [GRANTED; 2]),
        (
            "an RS256 administrator",
            Some(issuer.sign_with(1, &claims(user(1), "telecom:admin"))),
            [GRANTED; 2],
        ),
        (
            "an ES256 administrator",
            Some(issuer.sign_with(2, &claims(user(1), "telecom:admin"))),
            [GRANTED; 2],
        ),
    ]
}

/// A token signed by HS256 with the public key's bytes as the secret, under the public key's id.
fn confused(issuer: &Issuer) -> String {
    let public = serde_json::to_value(&issuer.jwks().keys[0]).unwrap()["x"]
        .as_str()
        .unwrap()
        .to_owned();
    let header = Header {
        kid: Some("k0".into()),
        ..Header::new(Algorithm::HS256)
    };
    let secret = EncodingKey::from_secret(&BASE64_URL_SAFE_NO_PAD.decode(public).unwrap());
    encode(&header, &claims(user(1), "telecom:admin"), &secret).unwrap()
}

fn unknown_key() -> String {
    Issuer::new(&[
        Algorithm::EdDSA,
        Algorithm::EdDSA,
        Algorithm::EdDSA,
        Algorithm::EdDSA,
    ])
    .sign_with(3, &claims(user(1), "telecom:admin"))
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn every_caller_gets_the_documented_access_on_both_transports(pool: PgPool) {
    let issuer = Issuer::new(&[Algorithm::EdDSA, Algorithm::RS256, Algorithm::ES256]);
    let api = Api::over_both(World::new(pool).await, issuer).await;
    let callers = callers(&api.issuer);
    for operation in OPERATIONS.iter() {
        for (caller, token, outcomes) in &callers {
            let what = format!("{caller}: {}", operation.method);
            let (status, code) = outcomes[usize::from(operation.admin)];
            let (answered, body) = api.ask(operation, operation.query, token.as_deref()).await;
            assert_eq!(
                (answered, body["code"].as_str().unwrap_or_default()),
                (status, code),
                "HTTP, {what}"
            );
            let message = serde_json::from_str(operation.message).unwrap();
            let (answered, reason) =
                match api.grpc(operation.method, message, token.as_deref()).await {
                    Ok(_) => (Code::Ok, String::new()),
                    Err(status) => (
                        status.code(),
                        status.get_details_error_info().unwrap().reason,
                    ),
                };
            let expected = match status {
                200 => Code::Ok,
                401 => Code::Unauthenticated,
                _ => Code::PermissionDenied,
            };
            assert_eq!(
                (answered, reason.as_str()),
                (expected, code),
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
    let body = telecom_tests::report::report_of(1, 1, at(NOW), &[(user(1), 10, 20)]);
    world.assert_reports_accepted(&[body.to_string()]).await;
    world.deliver_all().await;
    let api = Api::over_both(world, Issuer::default()).await;
    for operation in OPERATIONS.iter().filter(|operation| !operation.admin) {
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

/// Number of nodes, hours, availability entries and bytes in a response.
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
