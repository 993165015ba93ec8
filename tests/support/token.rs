//! A token issuer with one key per given algorithm.

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair};
use jsonwebtoken::jwk::{Jwk, JwkSet};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};
use shared::auth::{Admission, Authenticator};
use shared::clock::Context;
use shared::config::{AuthConfig, JwksConfig, RateLimitConfig};
use uuid::Uuid;

use crate::{NOW, at};

/// The accepted value of `iss`.
pub const ISSUER: &str = "https://issuer.test";
/// The value that `aud` must contain.
pub const AUDIENCE: &str = "telecom";

#[derive(Clone)]
pub struct Issuer {
    keys: Vec<(Algorithm, EncodingKey, Jwk)>,
}

impl std::fmt::Debug for Issuer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Issuer")
    }
}

impl Default for Issuer {
    fn default() -> Self {
        Self::new(&[Algorithm::EdDSA])
    }
}

impl Issuer {
    /// An issuer with one key per algorithm. The key ids are `k0`, `k1` and so on.
    #[must_use]
    pub fn new(algorithms: &[Algorithm]) -> Self {
        let key = |(index, &algorithm): (usize, &Algorithm)| {
            let key = new_key(algorithm);
            let mut public = Jwk::from_encoding_key(&key, algorithm).unwrap();
            public.common.key_id = Some(format!("k{index}"));
            (algorithm, key, public)
        };
        Self {
            keys: algorithms.iter().enumerate().map(key).collect(),
        }
    }

    #[must_use]
    pub fn jwks(&self) -> JwkSet {
        JwkSet {
            keys: self
                .keys
                .iter()
                .map(|(_, _, public)| public.clone())
                .collect(),
        }
    }

    /// An authenticator that trusts these keys.
    #[must_use]
    pub fn authenticator(&self, context: Context) -> Authenticator {
        let jwks = JwksConfig::Inline(self.jwks());
        let config = AuthConfig {
            issuer: ISSUER.into(),
            audience: AUDIENCE.into(),
            jwks,
            max_lifetime: AuthConfig::MAX_LIFETIME,
        };
        Authenticator::new(config, context.clock).unwrap()
    }

    /// Admits callers with tokens of these keys, at most at the rate of `limit`.
    #[must_use]
    pub fn admission(&self, context: Context, limit: RateLimitConfig) -> Admission {
        let authenticator = self.authenticator(context.clone());
        Admission::new(authenticator, limit, context.clock)
    }

    /// Signs claims with the first key.
    #[must_use]
    pub fn sign(&self, claims: &Value) -> String {
        self.sign_with(0, claims)
    }

    /// Signs claims with the key at index `key`.
    #[must_use]
    pub fn sign_with(&self, key: usize, claims: &Value) -> String {
        self.sign_as(key, key, self.keys[key].0, claims)
    }

    /// Signs claims with the key `by` under the id of the key `named`. The algorithm may differ
    /// from the key's.
    #[must_use]
    pub fn sign_as(&self, by: usize, named: usize, algorithm: Algorithm, claims: &Value) -> String {
        let header = Header {
            kid: self.keys[named].2.common.key_id.clone(),
            ..Header::new(algorithm)
        };
        encode(&header, claims, &self.keys[by].1).unwrap()
    }

    /// Signs claims with the first key and adds fields to the header.
    #[must_use]
    pub fn sign_header(&self, header: Header, claims: &Value) -> String {
        let (alg, key, public) = &self.keys[0];
        let header = Header {
            alg: *alg,
            kid: public.common.key_id.clone(),
            ..header
        };
        encode(&header, claims, key).unwrap()
    }

    #[must_use]
    pub fn user(&self, user: Uuid) -> String {
        self.sign(&claims(user, ""))
    }

    #[must_use]
    pub fn admin(&self) -> String {
        self.sign(&claims(Uuid::from_u128(1), "openid telecom:admin"))
    }

    /// Token of an administrator who may see secrets.
    #[must_use]
    pub fn admin_with_secrets(&self) -> String {
        self.sign(&claims(Uuid::from_u128(1), "telecom:admin telecom:secrets"))
    }
}

/// Valid claims that expire ten minutes after [`NOW`].
#[must_use]
pub fn claims(user: Uuid, scope: &str) -> Value {
    json!({ "iss": ISSUER, "aud": AUDIENCE, "sub": user, "exp": at(NOW).timestamp() + 600,
        "scope": scope })
}

fn new_key(algorithm: Algorithm) -> EncodingKey {
    let random = SystemRandom::new();
    match algorithm {
        Algorithm::EdDSA => {
            EncodingKey::from_ed_der(Ed25519KeyPair::generate_pkcs8v1(&random).unwrap().as_ref())
        }
        Algorithm::ES256 => {
            let pkcs8 =
                EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
            EncodingKey::from_ec_der(pkcs8.as_ref())
        }
        _ => {
            let pkcs8 = aws_lc_rs::rsa::KeyPair::generate(KeySize::Rsa2048)
                .unwrap()
                .as_der()
                .unwrap();
            // jsonwebtoken takes PKCS#1, which PKCS#8 wraps in 26 bytes for a key of this size.
            EncodingKey::from_rsa_der(&pkcs8.as_ref()[26..])
        }
    }
}
