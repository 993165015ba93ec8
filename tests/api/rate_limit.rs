//! The rate of each user's calls is limited, on both transports.

use std::time::Duration;

use chrono::TimeDelta;
use serde_json::{Value, json};
use shared::clock::Clock as _;
use shared::config::RateLimitConfig;
use sqlx::PgPool;
use telecom_tests::api::{Api, OPERATIONS, event};
use telecom_tests::token::{Issuer, claims};
use telecom_tests::{World, user};
use tonic::Code;
use tonic_types::StatusExt as _;

const PATH: &str = "/v1/nodes";
const METHOD: &str = "telecom.v1.Telecom/ListNodes";

/// APIs that allow a user two calls at once, and then one in two seconds.
async fn limited(world: World) -> Api {
    let limit = RateLimitConfig::new(30, 2).unwrap();
    Api::limited(world, Issuer::default(), limit).await
}

fn advance(api: &Api, seconds: i64) {
    let clock = &api.world.clock;
    clock.set(clock.now() + TimeDelta::seconds(seconds));
}

/// Sends a request and returns the status.
async fn get(api: &Api, token: Option<&str>) -> u16 {
    api.get(PATH, "", token).await.0
}

/// Calls the same operation over gRPC and returns the code.
async fn call(api: &Api, token: Option<&str>) -> Code {
    let answer = api.grpc(METHOD, json!({}), token).await;
    answer.map_or_else(|status| status.code(), |_| Code::Ok)
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn http_calls_over_the_limit_get_a_429_with_the_wait(pool: PgPool) {
    let api = limited(World::new(pool).await).await;
    let token = api.issuer.user(user(1));
    assert_eq!(get(&api, Some(&token)).await, 200);
    assert_eq!(get(&api, Some(&token)).await, 200);

    let refusal = api
        .invoke(event(
            "GET",
            PATH,
            "",
            Some(&token),
            &[("origin", "https://app.test")],
        ))
        .await;
    let problem: Value = serde_json::from_str(refusal["body"].as_str().unwrap()).unwrap();
    assert_eq!(
        (&refusal["statusCode"], &problem["code"]),
        (&json!(429), &json!("rate_limited"))
    );
    let headers = &refusal["multiValueHeaders"];
    assert_eq!(headers["content-type"], json!(["application/problem+json"]));
    assert_eq!(headers["retry-after"], json!(["2"]));
    let readable = headers["access-control-expose-headers"].to_string();
    assert!(readable.contains("retry-after"), "{readable}");

    let other = api.issuer.user(user(2));
    assert_eq!(get(&api, Some(&other)).await, 200);
    advance(&api, 2);
    assert_eq!(get(&api, Some(&token)).await, 200);
    assert_eq!(get(&api, Some(&token)).await, 429);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn grpc_calls_over_the_limit_are_refused_with_the_wait(pool: PgPool) {
    let api = limited(World::new(pool).await).await;
    let token = api.issuer.user(user(1));
    assert_eq!(call(&api, Some(&token)).await, Code::Ok);
    assert_eq!(call(&api, Some(&token)).await, Code::Ok);

    let status = api.grpc(METHOD, json!({}), Some(&token)).await.unwrap_err();
    let details = status.get_error_details();
    assert_eq!(
        (status.code(), details.error_info().unwrap().reason.as_str()),
        (Code::ResourceExhausted, "rate_limited")
    );
    let wait = details.retry_info().unwrap().retry_delay;
    assert_eq!(wait, Some(Duration::from_secs(2)));

    let other = api.issuer.user(user(2));
    assert_eq!(call(&api, Some(&other)).await, Code::Ok);
    advance(&api, 2);
    assert_eq!(call(&api, Some(&token)).await, Code::Ok);
    assert_eq!(call(&api, Some(&token)).await, Code::ResourceExhausted);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn calls_without_a_valid_token_are_refused_before_they_count(pool: PgPool) {
    let api = limited(World::new(pool).await).await;
    let mut expired = claims(user(1), "");
    expired["exp"] = json!(1_000);
    let invalid = api.issuer.sign(&expired);
    for _ in 0..5 {
        for token in [None, Some(invalid.as_str())] {
            assert_eq!(get(&api, token).await, 401);
            assert_eq!(call(&api, token).await, Code::Unauthenticated);
        }
    }
    let token = api.issuer.user(user(1));
    assert_eq!(get(&api, Some(&token)).await, 200);
    assert_eq!(call(&api, Some(&token)).await, Code::Ok);
}

#[tokio::test]
async fn every_operation_is_limited_whatever_the_scope() {
    let api = limited(World::offline()).await;
    let user_id = user(1);
    // Calls that are refused for another reason count, too.
    let token = api.issuer.user(user_id);
    for _ in 0..2 {
        assert_eq!(
            api.get("/v1/admin/packages/1", "", Some(&token)).await.0,
            403
        );
        let shown = api.grpc(
            "telecom.v1.PackageManage/ShowPackage",
            json!({}),
            Some(&token),
        );
        assert_eq!(shown.await.unwrap_err().code(), Code::PermissionDenied);
    }
    for scope in ["", "telecom:admin telecom:secrets"] {
        let token = api.issuer.sign(&claims(user_id, scope));
        for operation in OPERATIONS.iter() {
            let (status, problem) = api.ask(operation, operation.query, Some(&token)).await;
            assert_eq!(
                (status, &problem["code"]),
                (429, &json!("rate_limited")),
                "{}",
                operation.path
            );
            let message = serde_json::from_str(operation.message).unwrap();
            let refusal = api
                .call(operation, message, Some(&token))
                .await
                .unwrap_err();
            assert_eq!(
                refusal.code(),
                Code::ResourceExhausted,
                "{}",
                operation.method
            );
        }
    }
}
