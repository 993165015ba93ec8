//! Every kind of caller with the documented outcomes.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};
use telecom_tests::token::{AUDIENCE, Issuer, claims};
use telecom_tests::{NOW, at, user};

/// Expected HTTP status and error code of an operation of users, of one with which administrators
/// read, and of one with which they change something.
type Outcomes = [(u16, &'static str); 3];
type Token = (&'static str, String, Outcomes);

const GRANTED: Outcomes = [(200, ""); 3];
const NO_ADMIN: Outcomes = [(200, ""), (403, "scope_missing"), (403, "scope_missing")];
const READS: Outcomes = [(200, ""), (200, ""), (403, "scope_missing")];
const NO_TOKEN: Outcomes = [(401, "token_missing"); 3];
const NOT_VALID: Outcomes = [(401, "token_invalid"); 3];
const MALFORMED: Outcomes = [(401, "token_malformed"); 3];
const EXPIRED: Outcomes = [(401, "token_expired"); 3];
const TOO_EARLY: Outcomes = [(401, "token_not_yet_valid"); 3];
const TOO_LONG: Outcomes = [(401, "token_lifetime_too_long"); 3];
const UNKNOWN_KEY: Outcomes = [(401, "token_key_unknown"); 3];

/// Callers without and with a token of an issuer whose keys are of `EdDSA`, RS256 and ES256.
pub fn callers(issuer: &Issuer) -> Vec<(&'static str, Option<String>, Outcomes)> {
    let tokens = [
        by_claim(issuer),
        by_lifetime(issuer),
        by_header(issuer),
        by_signature(issuer),
        by_scope(issuer),
    ];
    let with_token = tokens
        .into_iter()
        .flatten()
        .map(|(name, token, outcomes)| (name, Some(token), outcomes));
    [("no token", None, NO_TOKEN)]
        .into_iter()
        .chain(with_token)
        .collect()
}

fn admin() -> Value {
    claims(user(1), "telecom:admin")
}

/// A valid administrator's token with another value of a claim.
fn with(issuer: &Issuer, name: &str, value: Value) -> String {
    let mut claims = admin();
    claims[name] = value;
    issuer.sign(&claims)
}

fn by_claim(issuer: &Issuer) -> Vec<Token> {
    let with = |name: &str, value: Value| with(issuer, name, value);
    let now = at(NOW).timestamp();
    let mut endless = admin();
    endless.as_object_mut().unwrap().remove("exp");
    vec![
        ("expired", with("exp", json!(now - 31)), EXPIRED),
        (
            "expired, within the leeway",
            with("exp", json!(now - 29)),
            GRANTED,
        ),
        ("not yet valid", with("nbf", json!(now + 31)), TOO_EARLY),
        (
            "not yet valid, within the leeway",
            with("nbf", json!(now + 29)),
            GRANTED,
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
            GRANTED,
        ),
        (
            "subject is no user id",
            with("sub", json!("admin")),
            NOT_VALID,
        ),
        ("no expiry", issuer.sign(&endless), NOT_VALID),
    ]
}

fn by_lifetime(issuer: &Issuer) -> Vec<Token> {
    let (now, day) = (at(NOW).timestamp(), 86_400);
    let living = |issued_at: Option<i64>, expires_at: i64| {
        let mut claims = admin();
        claims["exp"] = json!(expires_at);
        if let Some(at) = issued_at {
            claims["iat"] = json!(at);
        }
        issuer.sign(&claims)
    };
    vec![
        ("valid for a day", living(None, now + day), GRANTED),
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
            GRANTED,
        ),
        (
            "issued in the future, for longer than a day from now",
            living(Some(now + day), now + 2 * day),
            TOO_LONG,
        ),
    ]
}

fn by_header(issuer: &Issuer) -> Vec<Token> {
    let of_type = |typ: Option<&str>| {
        let header = Header {
            typ: typ.map(str::to_owned),
            ..Header::default()
        };
        issuer.sign_header(header, &admin())
    };
    let critical = |crit: &[&str]| {
        let header = Header {
            crit: Some(crit.iter().map(|&name| name.to_owned()).collect()),
            ..Header::default()
        };
        issuer.sign_header(header, &admin())
    };
    vec![
        ("no type", of_type(None), GRANTED),
        ("type at+jwt", of_type(Some("AT+jwt")), GRANTED),
        (
            "type application/at+jwt",
            of_type(Some("application/at+jwt")),
            GRANTED,
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
    ]
}

fn by_signature(issuer: &Issuer) -> Vec<Token> {
    let part = |json: Value| BASE64_URL_SAFE_NO_PAD.encode(json.to_string());
    let header = json!({ "alg": "none", "kid": "k0" });
    let unsigned = format!("{}.{}.", part(header), part(admin()));
    let signed = |by, named, algorithm| issuer.sign_as(by, named, algorithm, &admin());
    vec![
        (
            "signed with another key under a known key's id",
            Issuer::default().admin(),
            NOT_VALID,
        ),
        ("alg: none", unsigned, MALFORMED),
        (
            "signed with the public key as a secret",
            confused(issuer),
            NOT_VALID,
        ),
        (
            "signed with the RSA key by RS512",
            signed(1, 1, Algorithm::RS512),
            NOT_VALID,
        ),
        (
            "signed with the RSA key by PS256",
            signed(1, 1, Algorithm::PS256),
            NOT_VALID,
        ),
        (
            "by ES256 under the RSA key's id",
            signed(2, 1, Algorithm::ES256),
            NOT_VALID,
        ),
        (
            "by EdDSA under the ES256 key's id",
            signed(0, 2, Algorithm::EdDSA),
            NOT_VALID,
        ),
        ("signed with an unknown key", unknown_key(), UNKNOWN_KEY),
        ("nonsense", "x".to_owned(), MALFORMED),
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
    encode(&header, &admin(), &secret).unwrap()
}

fn unknown_key() -> String {
    Issuer::new(&[
        Algorithm::EdDSA,
        Algorithm::EdDSA,
        Algorithm::EdDSA,
        Algorithm::EdDSA,
    ])
    .sign_with(3, &admin())
}

fn by_scope(issuer: &Issuer) -> Vec<Token> {
    vec![
        ("a user", issuer.user(user(1)), NO_ADMIN),
        ("another user", issuer.user(user(2)), NO_ADMIN),
        (
            "a user whose scope only starts like the administrator's",
            with(issuer, "scope", json!("telecom:administrator")),
            NO_ADMIN,
        ),
        (
            "an administrator who may only read",
            with(issuer, "scope", json!("telecom:admin.read")),
            READS,
        ),
        ("an administrator", issuer.admin(), GRANTED),
        (
            "an RS256 administrator",
            issuer.sign_with(1, &admin()),
            GRANTED,
        ),
        (
            "an ES256 administrator",
            issuer.sign_with(2, &admin()),
            GRANTED,
        ),
    ]
}
