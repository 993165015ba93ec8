//! No content of a request causes an internal error.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};
use sqlx::PgPool;
use telecom_tests::World;
use telecom_tests::api::{Api, OPERATIONS, event};
use telecom_tests::token::Issuer;

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None,
        ..ProptestConfig::default() })]

    /// The database is unreachable, so that every accepted request ends as 503. Every other failure
    /// must be the caller's error.
    #[test]
    fn no_query_causes_an_internal_error(
        operation in 0..OPERATIONS.len(),
        name in prop_oneof![
            Just("range".to_owned()), Just("time_zone".to_owned()), Just("start".to_owned()),
                Just("end".to_owned()),
            Just("limit".to_owned()), Just("offset".to_owned()), Just("user".to_owned()),
                Just("status".to_owned()),
            Just("reveal_secrets".to_owned()), ".*",
        ],
        value in prop_oneof![".*", "-?[0-9]{1,25}",
            "[0-9]{4,6}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z"],
        suffix in "(/[^?#]{0,12})?",
    ) {
        let operation = OPERATIONS[operation];
        let (status, body) = runtime().block_on(async {
            let api = Api::over_http(World::offline());
            let method = operation.verb;
            let mut event = event(method, operation.path, operation.query,
                Some(&api.issuer.admin()), operation.headers);
            event["body"] = json!(operation.body.unwrap_or_default());
            event["multiValueQueryStringParameters"][&name] = json!([value]);
            event["path"] = json!(format!("{}{suffix}", operation.path));
            let response = api.send(event).await;
            let body: Value = serde_json::from_slice(response.body()).unwrap();
            (response.status().as_u16(), body)
        });
        prop_assert!([400, 404, 405, 503].contains(&status), "{status} {body}");
        prop_assert!(body["code"].is_string() && body["code"] != "internal", "{body}");
    }
}

/// Random limits, times and ids on a real database: every accepted request succeeds.
#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn every_accepted_query_succeeds_on_a_real_database(pool: PgPool) {
    let api = Api::over_http(World::new(pool).await);
    let token = api.issuer.admin();
    let mut runner = TestRunner::deterministic();
    let number = || prop_oneof![any::<i64>(), 0_i64..300].prop_map(|number| number.to_string());
    let time = || {
        (-62_135_596_800_i64..=253_402_300_799, 0..1_000_000_000_u32).prop_map(
            |(seconds, nanos)| {
                chrono::DateTime::from_timestamp(seconds, nanos)
                    .unwrap()
                    .to_rfc3339()
            },
        )
    };
    let id = || any::<u128>().prop_map(|id| uuid::Uuid::from_u128(id).to_string());
    let word = || {
        prop::sample::select(vec!["day", "month", "online", "active", "Asia/Kathmandu"])
            .prop_map(str::to_owned)
    };
    let kinds = [
        (
            vec!["limit", "offset", "package", "server_id", "older_than"],
            number().boxed(),
        ),
        (vec!["start", "end"], time().boxed()),
        (vec!["user", "order", "actor"], id().boxed()),
        (vec!["range", "time_zone", "status"], word().boxed()),
        (
            vec!["limit", "start", "user", "time_zone", "status"],
            "\\PC{0,20}".boxed(),
        ),
    ];
    let mut accepted = 0;
    for _ in 0..5_000 {
        let operation = OPERATIONS[(0..OPERATIONS.len())
            .new_tree(&mut runner)
            .unwrap()
            .current()];
        let (names, value) = prop::sample::select(kinds.to_vec())
            .new_tree(&mut runner)
            .unwrap()
            .current();
        let name = prop::sample::select(names)
            .new_tree(&mut runner)
            .unwrap()
            .current();
        let value = value.new_tree(&mut runner).unwrap().current();
        let mut request = event(
            operation.verb,
            operation.path,
            operation.query,
            Some(&token),
            operation.headers,
        );
        request["body"] = json!(operation.body.unwrap_or_default());
        request["multiValueQueryStringParameters"][name] =
            json!([value.replace('%', "%25").replace('+', "%2B")]);
        let answer = api.invoke(request).await;
        let status = answer["statusCode"].as_u64().unwrap();
        assert!(
            [200, 400, 404].contains(&status),
            "{} {name}={value}: {answer}",
            operation.path
        );
        accepted += usize::from(status == 200);
    }
    assert!(accepted > 100, "{accepted} of 5000 were accepted");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None,
        ..ProptestConfig::default() })]

    /// Invalid tokens are refused as such, whatever they contain.
    #[test]
    fn no_token_causes_an_internal_error(
        scheme in prop_oneof![Just("Bearer "), Just("bearer "), Just(""), Just("Basic ")],
        token in prop_oneof![
            "[ -~]{0,120}",
            "[A-Za-z0-9_-]{0,60}\\.[A-Za-z0-9_-]{0,60}\\.[A-Za-z0-9_-]{0,60}",
            (any::<[u8; 24]>(), any::<[u8; 24]>()).prop_map(|(a, b)| {
                let part = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
                format!("{}.{}.{}", part(br#"{"alg":"EdDSA","kid":"k0"}"#), part(&a), part(&b))
            }),
            (0_usize..400, any::<char>()).prop_map(|(at, with)| changed(at, with)),
        ],
    ) {
        let answer = runtime().block_on(async {
            let api = Api::over_http(World::offline());
            let headers = [("authorization", &*format!("{scheme}{token}"))];
            api.invoke(event("GET", "/v1/nodes", "", None, &headers)).await
        });
        prop_assert!([400, 401].contains(&answer["statusCode"].as_u64().unwrap()), "{answer}");
    }
}

/// A valid token with one character replaced.
fn changed(at: usize, with: char) -> String {
    let mut token: Vec<char> = Issuer::default().admin().chars().collect();
    // The last characters contain bits without significance.
    let at = at % (token.len() - 2);
    token[at] = if token[at] == with { '.' } else { with };
    token.into_iter().collect()
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}
