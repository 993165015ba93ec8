//! Who is asking: JSON Web Tokens, signed by the issuer that the deployment trusts.

use std::collections::HashMap;
use std::sync::Arc;

use http::HeaderMap;
use http::header::AUTHORIZATION;
use jsonwebtoken::jwk::{Jwk, JwkSet};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde::Deserialize;
use uuid::Uuid;

use crate::clock::Clock;
use crate::config::AuthConfig;
use crate::error::{Error, ErrorKind};

/// The scope that opens `/v1/admin` and the `*Manage` services.
pub const ADMIN_SCOPE: &str = "telecom:admin";
/// How far the issuer's clock and ours may differ, seconds.
const LEEWAY_SECONDS: i64 = 30;
/// The accepted algorithms. All are asymmetric: whoever knows the public key must not be able to sign.
const ALGORITHMS: [Algorithm; 3] = [Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA];

/// An authenticated caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// The token's `sub`.
    pub user_id: Uuid,
    /// Whether the token's `scope` holds [`ADMIN_SCOPE`].
    pub admin: bool,
}

#[derive(Deserialize)]
struct Claims {
    sub: String,
    exp: i64,
    nbf: Option<i64>,
    #[serde(default)]
    scope: String,
}

/// Judges tokens.
#[derive(Clone)]
pub struct Authenticator {
    keys: HashMap<String, (Algorithm, DecodingKey)>,
    issuer: String,
    audience: String,
    clock: Arc<dyn Clock>,
}

impl std::fmt::Debug for Authenticator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authenticator").field("issuer", &self.issuer).finish_non_exhaustive()
    }
}

impl Authenticator {
    /// Trusts the keys of `config`; one of another kind than ours is passed over, as key sets may hold others.
    pub fn new(config: AuthConfig, clock: Arc<dyn Clock>) -> Result<Self, jsonwebtoken::errors::Error> {
        let AuthConfig { issuer, audience, jwks } = config;
        Ok(Self { keys: keys(&jwks)?, issuer, audience, clock })
    }

    /// Reads and judges the bearer token of a request.
    pub fn authenticate(&self, headers: &HeaderMap) -> Result<Principal, Error> {
        let header = headers.get(AUTHORIZATION).ok_or_else(|| refuse("token_missing", "a bearer token is needed"))?;
        let token = header
            .to_str()
            .ok()
            .and_then(|value| value.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .map(|(_, token)| token.trim())
            .ok_or_else(|| refuse("token_malformed", "the authorization header is not \"Bearer <token>\""))?;
        self.verify(token)
    }

    /// Judges a token: signature, issuer, audience, times.
    pub fn verify(&self, token: &str) -> Result<Principal, Error> {
        let header = decode_header(token)
            .map_err(|error| refuse("token_malformed", "the token cannot be read").with_source(error))?;
        let (algorithm, key) = header
            .kid
            .and_then(|id| self.keys.get(&id))
            .ok_or_else(|| refuse("token_key_unknown", "the token is signed with a key that is not known"))?;
        let mut validation = Validation::new(*algorithm);
        validation.set_issuer(&[&self.issuer]);
        validation.set_audience(&[&self.audience]);
        validation.set_required_spec_claims(&["iss", "aud", "sub", "exp"]);
        // Times are judged below, by our clock.
        validation.validate_exp = false;
        let claims: Claims = decode(token, key, &validation)
            .map_err(|error| refuse("token_invalid", "the token is not valid here").with_source(error))?
            .claims;
        self.check_times(&claims)?;
        let user_id =
            claims.sub.parse().map_err(|_| refuse("token_invalid", "the token's subject is not a user id"))?;
        Ok(Principal { user_id, admin: claims.scope.split(' ').any(|scope| scope == ADMIN_SCOPE) })
    }

    fn check_times(&self, claims: &Claims) -> Result<(), Error> {
        let now = self.clock.now().timestamp();
        if claims.exp.saturating_add(LEEWAY_SECONDS) <= now {
            return Err(refuse("token_expired", "the token has expired"));
        }
        if claims.nbf.is_some_and(|nbf| nbf.saturating_sub(LEEWAY_SECONDS) > now) {
            return Err(refuse("token_not_yet_valid", "the token is not valid yet"));
        }
        Ok(())
    }
}

fn keys(jwks: &JwkSet) -> Result<HashMap<String, (Algorithm, DecodingKey)>, jsonwebtoken::errors::Error> {
    let mut keys = HashMap::new();
    for jwk in &jwks.keys {
        if let (Some(id), Some(algorithm)) = (&jwk.common.key_id, algorithm(jwk)) {
            keys.insert(id.clone(), (algorithm, DecodingKey::from_jwk(jwk)?));
        }
    }
    Ok(keys)
}

/// The one algorithm that a key is for: a token's own word is never asked.
fn algorithm(jwk: &Jwk) -> Option<Algorithm> {
    use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve};
    let algorithm = match &jwk.algorithm {
        AlgorithmParameters::RSA(_) => Algorithm::RS256,
        AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => Algorithm::ES256,
        AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => Algorithm::EdDSA,
        _ => return None,
    };
    ALGORITHMS.contains(&algorithm).then_some(algorithm)
}

fn refuse(code: &'static str, message: &str) -> Error {
    Error::new(ErrorKind::Unauthenticated, code, message)
}
