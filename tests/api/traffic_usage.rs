//! `GET /v1/traffic-usage` over events of the load balancer.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::Ed25519KeyPair;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::{Jwk, JwkSet};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use rstest::rstest;
use serde_json::{Value, json};
use shared::auth::Authenticator;
use shared::config::AuthConfig;
use shared::http::traffic_usage::TrafficUsage;
use shared::lambda::api;
use shared::services::analysis::AnalysisService;
use sqlx::PgPool;
use telecom_tests::report::{report_of, texts};
use telecom_tests::{NOW, World, at, user};

const ISSUER: &str = "https://issuer.test";
const AUDIENCE: &str = "telecom";

/// An issuer with a key of its own.
struct Issuer {
    key: EncodingKey,
    public: Jwk,
}

impl Issuer {
    fn new() -> Self {
        let pkcs8 = Ed25519KeyPair::generate_pkcs8v1(&SystemRandom::new()).unwrap();
        let key = EncodingKey::from_ed_der(pkcs8.as_ref());
        let mut public = Jwk::from_encoding_key(&key, Algorithm::EdDSA).unwrap();
        public.common.key_id = Some("k1".into());
        Self { key, public }
    }

    fn authenticator(&self, world: &World) -> Authenticator {
        let jwks = JwkSet { keys: vec![self.public.clone()] };
        let config = AuthConfig { issuer: ISSUER.into(), audience: AUDIENCE.into(), jwks };
        Authenticator::new(config, world.context().clock).unwrap()
    }

    fn token(&self, claims: &Value) -> String {
        let header = Header { kid: Some("k1".into()), ..Header::new(Algorithm::EdDSA) };
        encode(&header, claims, &self.key).unwrap()
    }
}

fn claims() -> Value {
    json!({ "iss": ISSUER, "aud": AUDIENCE, "sub": user(1), "exp": at(NOW).timestamp() + 600 })
}

fn claims_with(name: &str, value: Value) -> Value {
    let mut claims = claims();
    claims[name] = value;
    claims
}

/// An event of a target group with multi-value headers.
fn event(token: Option<&str>, query: &Value) -> String {
    let mut headers = json!({ "accept": ["*/*"], "host": ["api.test"], "x-forwarded-proto": ["https"] });
    if let Some(token) = token {
        headers["authorization"] = json!([format!("Bearer {token}")]);
    }
    json!({
        "requestContext": { "elb": { "targetGroupArn": "arn:aws:elasticloadbalancing:us-east-1:1:targetgroup/t/1" } },
        "httpMethod": "GET",
        "path": "/v1/traffic-usage",
        "multiValueQueryStringParameters": query,
        "multiValueHeaders": headers,
        "body": "",
        "isBase64Encoded": false
    })
    .to_string()
}

async fn call(world: &World, issuer: &Issuer, event: &str) -> (u16, Value) {
    let service = AnalysisService::new(world.pool.clone(), world.context());
    let request = lambda_http::request::from_str(event).unwrap();
    let response = api::handle::<TrafficUsage>(&service, &issuer.authenticator(world), request).await;
    let expected = if response.status().is_success() { "application/json" } else { "application/problem+json" };
    assert_eq!(response.headers()["content-type"], expected);
    (response.status().as_u16(), serde_json::from_slice(response.body()).unwrap())
}

async fn ask(world: &World, query: Value) -> (u16, Value) {
    let issuer = Issuer::new();
    call(world, &issuer, &event(Some(&issuer.token(&claims())), &query)).await
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_day_is_24_hours_oldest_first_zero_filled_with_the_current_one_last(pool: PgPool) {
    let world = World::new(pool).await;
    let bodies = [
        report_of(1, 1, at("2026-03-09T10:59:00Z"), &[(user(1), 1_000, 1_000)]),
        report_of(2, 1, at("2026-03-09T11:30:00Z"), &[(user(1), 1, 2)]),
        report_of(3, 1, at(NOW), &[(user(1), 3, 4), (user(2), 100, 100)]),
    ];
    world.sql("update telecom.node_client set traffic_factor = 2").await;
    assert!(world.report(&texts(&bodies)).await.is_empty());
    world.settle().await;

    let (status, answer) = ask(&world, json!({ "range": ["day"] })).await;
    assert_eq!((status, &answer["range"], &answer["time_zone"]), (200, &json!("day"), &json!("UTC")));
    let raw = answer["raw"].as_array().unwrap();
    let bucket = |start: &str, end: &str, upload, download| json!({ "start": start, "end": end, "upload": upload, "download": download });
    assert_eq!(raw.len(), 24);
    assert_eq!(raw[0], bucket("2026-03-09T11:00:00Z", "2026-03-09T12:00:00Z", 1, 2));
    assert_eq!(raw[1], bucket("2026-03-09T12:00:00Z", "2026-03-09T13:00:00Z", 0, 0));
    assert_eq!(raw[23], bucket("2026-03-10T10:00:00Z", "2026-03-10T11:00:00Z", 3, 4));
    assert_eq!(answer["actually_billed"][23], bucket("2026-03-10T10:00:00Z", "2026-03-10T11:00:00Z", 6, 8));
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_week_follows_the_days_of_the_named_zone(pool: PgPool) {
    let world = World::new(pool).await;
    // 22:30 UTC is the next day in Berlin already.
    let bodies = [report_of(1, 1, at("2026-03-09T23:30:00Z"), &[(user(1), 5, 0)])];
    assert!(world.report(&texts(&bodies)).await.is_empty());
    world.settle().await;
    let uploads = |answer: &Value| -> Vec<i64> {
        answer["raw"].as_array().unwrap().iter().map(|bucket| bucket["upload"].as_i64().unwrap()).collect()
    };
    let (_, utc) = ask(&world, json!({ "range": ["week"] })).await;
    let (_, berlin) = ask(&world, json!({ "range": ["week"], "time_zone": ["Europe/Berlin"] })).await;
    assert_eq!((uploads(&utc), uploads(&berlin)), (vec![0, 0, 0, 0, 0, 5, 0], vec![0, 0, 0, 0, 0, 0, 5]));
    assert_eq!(berlin["raw"][6]["start"], json!("2026-03-09T23:00:00Z"));
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_month_is_30_days(pool: PgPool) {
    let world = World::new(pool).await;
    let (status, answer) = ask(&world, json!({ "range": ["month"] })).await;
    assert_eq!(
        (status, answer["raw"].as_array().unwrap().len(), answer["actually_billed"].as_array().unwrap().len()),
        (200, 30, 30)
    );
}

#[rstest]
#[case(json!({}), "missing_parameter", "range")]
#[case(json!({ "range": ["year"] }), "invalid_range", "range")]
#[case(json!({ "range": ["day\u{0}"] }), "invalid_range", "range")]
#[case(json!({ "range": ["day", "week"] }), "repeated_parameter", "range")]
#[case(json!({ "range": ["day"], "time_zone": ["Mars/Olympus"] }), "invalid_time_zone", "time_zone")]
#[case(json!({ "range": ["day"], "user": ["someone"] }), "unknown_parameter", "user")]
#[tokio::test]
async fn a_bad_parameter_is_named_and_what_is_accepted_is_said(
    #[case] query: Value,
    #[case] code: &str,
    #[case] field: &str,
) {
    let world = offline();
    let (status, problem) = ask(&world, query).await;
    assert_eq!((status, &problem["code"], &problem["field"]), (400, &json!(code), &json!(field)));
    assert!(!problem["detail"].as_str().unwrap().is_empty());
}

/// A world whose database is never reached.
fn offline() -> World {
    World {
        pool: PgPool::connect_lazy("postgres://nobody@127.0.0.1:9/none").unwrap(),
        clock: shared::clock::Fixed::at(at(NOW)),
    }
}

#[rstest]
#[case::expired(claims_with("exp", json!(at(NOW).timestamp() - 31)), "token_expired")]
#[case::not_yet_valid(claims_with("nbf", json!(at(NOW).timestamp() + 31)), "token_not_yet_valid")]
#[case::wrong_issuer(claims_with("iss", json!("https://other.test")), "token_invalid")]
#[case::wrong_audience(claims_with("aud", json!("shop")), "token_invalid")]
#[case::no_user(claims_with("sub", json!("admin")), "token_invalid")]
#[tokio::test]
async fn a_token_that_is_not_valid_here_and_now_is_refused(#[case] claims: Value, #[case] code: &str) {
    let issuer = Issuer::new();
    let (status, problem) =
        call(&offline(), &issuer, &event(Some(&issuer.token(&claims)), &json!({ "range": ["day"] }))).await;
    assert_eq!((status, &problem["code"]), (401, &json!(code)));
}

#[tokio::test]
async fn a_token_without_an_expiry_a_known_key_or_a_true_signature_is_refused() {
    let issuer = Issuer::new();
    let mut endless = claims();
    endless.as_object_mut().unwrap().remove("exp");
    let part = |json: Value| BASE64_URL_SAFE_NO_PAD.encode(json.to_string());
    let unsigned = format!("{}.{}.", part(json!({ "alg": "none", "kid": "k1" })), part(claims()));
    // Signed with the public key as if it were a shared secret.
    let public = serde_json::to_value(&issuer.public).unwrap()["x"].as_str().unwrap().to_owned();
    let header = Header { kid: Some("k1".into()), ..Header::new(Algorithm::HS256) };
    let public = BASE64_URL_SAFE_NO_PAD.decode(public).unwrap();
    let confused = encode(&header, &claims(), &EncodingKey::from_secret(&public)).unwrap();
    let unknown_key = {
        let header = Header { kid: Some("k2".into()), ..Header::new(Algorithm::EdDSA) };
        encode(&header, &claims(), &issuer.key).unwrap()
    };
    for token in [issuer.token(&endless), Issuer::new().token(&claims()), unsigned, confused, unknown_key, "x".into()] {
        let (status, problem) = call(&offline(), &issuer, &event(Some(&token), &json!({ "range": ["day"] }))).await;
        assert_eq!(status, 401, "{token}: {problem}");
    }
    let (status, problem) = call(&offline(), &issuer, &event(None, &json!({ "range": ["day"] }))).await;
    assert_eq!((status, &problem["code"]), (401, &json!("token_missing")));
}

#[tokio::test]
async fn an_outage_of_the_database_is_a_503_that_tells_nothing_of_the_inside() {
    let issuer = Issuer::new();
    let token = issuer.token(&claims_with("aud", json!([AUDIENCE, "shop"])));
    let (status, problem) = call(&offline(), &issuer, &event(Some(&token), &json!({ "range": ["day"] }))).await;
    assert_eq!((status, &problem["code"]), (503, &json!("unavailable")));
    assert!(!problem.to_string().contains("127.0.0.1"));
}
