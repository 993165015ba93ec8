//! Tokens of an issuer that lives as long as the run.

use anyhow::{Context as _, Result};
use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::json;
use shared::auth::ADMIN_SCOPE;
use shared::clock::{Clock, System};
use uuid::Uuid;

/// `iss`.
const ISSUER: &str = "https://bench.example.com";
/// `aud`.
const AUDIENCE: &str = "telecom";
const KEY_ID: &str = "bench";

/// An issuer with a key of its own.
pub struct Issuer {
    key: EncodingKey,
    public: String,
}

impl Issuer {
    /// With a new key.
    pub fn new() -> Result<Self> {
        let pair = Ed25519KeyPair::generate().context("No key could be made.")?;
        let der: aws_lc_rs::encoding::Pkcs8V1Der<'_> =
            pair.as_der().context("The key has no PKCS #8 form.")?;
        let public = URL_SAFE_NO_PAD.encode(pair.public_key().as_ref());
        Ok(Self {
            key: EncodingKey::from_ed_der(der.as_ref()),
            public,
        })
    }

    /// What makes a function or the gRPC server trust it.
    pub fn environment(&self) -> [(&'static str, String); 3] {
        [
            ("TELECOM_AUTH_ISSUER", ISSUER.to_owned()),
            ("TELECOM_AUTH_AUDIENCE", AUDIENCE.to_owned()),
            ("TELECOM_AUTH_JWKS", self.jwks()),
        ]
    }

    fn jwks(&self) -> String {
        let key = json!({"kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA",
            "kid": KEY_ID, "x": self.public});
        json!({ "keys": [key] }).to_string()
    }

    /// A token of `user`, good for an hour.
    pub fn token(&self, user: Uuid) -> Result<String> {
        self.with_scope(user, "")
    }

    /// A token of `user` as an administrator, good for an hour.
    pub fn admin_token(&self, user: Uuid) -> Result<String> {
        self.with_scope(user, ADMIN_SCOPE)
    }

    fn with_scope(&self, user: Uuid, scope: &str) -> Result<String> {
        let now = System.now().timestamp();
        let claims = json!({"iss": ISSUER, "aud": AUDIENCE, "sub": user, "scope": scope,
            "iat": now, "exp": now + 3600});
        let header = Header {
            kid: Some(KEY_ID.to_owned()),
            ..Header::new(Algorithm::EdDSA)
        };
        encode(&header, &claims, &self.key).context("The token could not be signed.")
    }
}
