//! Plants a canary in each place of a document or a token.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};
use telecom_tests::report::with;
use telecom_tests::token::{Issuer, claims};
use telecom_tests::user;

pub const CANARY: &str = "canary7f3a";
/// The canary for numbers.
const NUMBER: i64 = -4_711_471_147_114_711;

pub fn assert_no_canary(log: &str) {
    assert!(!log.is_empty(), "nothing was logged");
    let has_canary = |line: &&str| {
        line.to_lowercase().contains(CANARY) || line.contains(&NUMBER.unsigned_abs().to_string())
    };
    let lines: Vec<&str> = log.lines().filter(has_canary).collect();
    assert!(
        lines.is_empty(),
        "{} lines contain a canary, such as {}",
        lines.len(),
        &lines[0][..lines[0].len().min(2_000)]
    );
}

/// A document with a value replaced or added at a JSON pointer.
fn planted(document: &Value, pointer: &str, value: Value) -> Value {
    let mut document = document.clone();
    match document.pointer_mut(pointer) {
        Some(place) => *place = value,
        None => document = with(document, pointer, value),
    }
    document
}

/// Variants of a JSON document: each value replaced by a canary, and each object with a canary as a
/// key.
pub fn with_canaries(document: &Value) -> Vec<Value> {
    let mut pointers = vec![(String::new(), document)];
    let mut all = vec![json!(CANARY), json!([CANARY]), json!({ CANARY: CANARY })];
    while let Some((pointer, value)) = pointers.pop() {
        let below: Vec<(String, &Value)> = match value {
            Value::Object(fields) => {
                all.push(planted(
                    document,
                    &format!("{pointer}/{CANARY}"),
                    json!(CANARY),
                ));
                fields
                    .iter()
                    .map(|(name, value)| (format!("{pointer}/{name}"), value))
                    .collect()
            }
            Value::Array(values) => values
                .iter()
                .enumerate()
                .map(|(index, value)| (format!("{pointer}/{index}"), value))
                .collect(),
            _ => Vec::new(),
        };
        for (pointer, _) in &below {
            let canaries = [
                json!(CANARY),
                json!(NUMBER),
                json!({ CANARY: CANARY }),
                json!([CANARY]),
            ];
            all.extend(canaries.map(|canary| planted(document, pointer, canary)));
        }
        pointers.extend(below);
    }
    all
}

/// Bodies with canaries, including some that are not JSON.
pub fn bodies(good: &Value) -> Vec<String> {
    let broken = [
        format!("{{\"{CANARY}"),
        format!("{good} {CANARY}"),
        format!("{{\"type\":{CANARY}}}"),
        CANARY.to_owned(),
    ];
    with_canaries(good)
        .iter()
        .map(Value::to_string)
        .chain(broken)
        .collect()
}

/// Invalid tokens: a text, and JWTs with a canary in each part.
pub fn tokens() -> Vec<String> {
    let part = |json: Value| BASE64_URL_SAFE_NO_PAD.encode(json.to_string());
    let header = json!({ "alg": "EdDSA", "typ": "JWT", "kid": CANARY });
    let headers = with_canaries(&header)
        .into_iter()
        .map(|header| format!("{}.{}.{CANARY}", part(header), part(json!({}))));
    headers
        .chain([CANARY.to_owned(), format!("{CANARY}.{CANARY}.{CANARY}")])
        .collect()
}

/// Correctly signed tokens with claims that no issuer should make.
pub fn signed(issuer: &Issuer) -> Vec<String> {
    with_canaries(&claims(user(1), "telecom:admin"))
        .iter()
        .filter(|claims| claims.is_object())
        .map(|claims| issuer.sign(claims))
        .collect()
}

#[test]
fn canaries_are_planted_in_every_value_and_key() {
    let document = json!({ "a": { "b": [1] } });
    let planted: Map<String, Value> = with_canaries(&document)
        .into_iter()
        .map(|value| (value.to_string(), value))
        .collect();
    for expected in [
        json!({ "a": CANARY }),
        json!({ "a": { "b": CANARY } }),
        json!({ "a": { "b": [CANARY] } }),
        json!({ "a": { "b": [1], CANARY: CANARY } }),
    ] {
        assert!(planted.contains_key(&expected.to_string()), "{expected}");
    }
}
