//! The local issuer of tokens, with its own key pair.

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::Ed25519KeyPair;
use chrono::{DateTime, Utc};
use jsonwebtoken::jwk::{Jwk, JwkSet, KeyAlgorithm, PublicKeyUse, ThumbprintHash};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde::Serialize;
use serde_json::json;
use shared::auth::{ADMIN_SCOPE, SECRETS_SCOPE};
use tempfile::NamedTempFile;
use uuid::Uuid;

use crate::files::private_folder;

pub const ISSUER: &str = "https://issuer.telecom.local";
pub const AUDIENCE: &str = "telecom";
/// Validity of the tokens for people.
pub const TOKEN_TTL: Duration = Duration::from_hours(24);

/// What a token allows its bearer to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Read their own data.
    User,
    /// Read data about the fleet and about all users' packages.
    Admin,
    /// Also read keys and passwords.
    AdminWithSecrets,
}

impl Role {
    fn scope(self) -> Option<String> {
        match self {
            Self::User => None,
            Self::Admin => Some(ADMIN_SCOPE.to_owned()),
            Self::AdminWithSecrets => Some(format!("{ADMIN_SCOPE} {SECRETS_SCOPE}")),
        }
    }
}

const KEY_FILE: &str = "issuer-ed25519.pkcs8";
/// Larger than any Ed25519 key. A longer file is not a key.
const MAX_KEY_BYTES: u64 = 1_024;

#[derive(Serialize)]
struct Claims {
    iss: &'static str,
    aud: &'static str,
    sub: Uuid,
    iat: i64,
    exp: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<String>,
}

/// Signs tokens with Ed25519.
pub struct Issuer {
    key: EncodingKey,
    public: Jwk,
}

impl Issuer {
    /// Opens the issuer whose key is in `folder`. If there is no key, generates one that only its
    /// owner can read.
    pub fn open(folder: &Path) -> Result<Self> {
        let path = folder.join(KEY_FILE);
        let pkcs8 = match File::open(&path) {
            Ok(file) => read_key(file),
            Err(error) if error.kind() == ErrorKind::NotFound => make_key(folder, &path),
            Err(error) => Err(error.into()),
        };
        let pkcs8 =
            pkcs8.with_context(|| format!("Cannot use the signing key {}", path.display()))?;
        let path = path.display();
        Self::new(&pkcs8).with_context(|| {
            format!("{path} is not an Ed25519 key. Remove it to generate a new one")
        })
    }

    /// Generates a key that is not stored.
    pub fn generate() -> Result<Self> {
        Self::new(&generate_key()?)
    }

    fn new(pkcs8: &[u8]) -> Result<Self> {
        let key = EncodingKey::from_ed_der(pkcs8);
        let mut public = Jwk::from_encoding_key(&key, Algorithm::EdDSA)?;
        public.common.key_id = Some(public.thumbprint(ThumbprintHash::SHA256)?);
        public.common.key_algorithm = Some(KeyAlgorithm::EdDSA);
        public.common.public_key_use = Some(PublicKeyUse::Signature);
        Ok(Self { key, public })
    }

    /// The public key as a JSON Web Key Set, on one line.
    pub fn jwks(&self) -> Result<String> {
        Ok(serde_json::to_string(&JwkSet {
            keys: vec![self.public.clone()],
        })?)
    }

    /// Issues an ID token, which tells `client` who signed in at `issuer`.
    pub fn id_token(
        &self,
        issuer: &str,
        client: &str,
        sub: Uuid,
        nonce: Option<&str>,
        ttl: Duration,
        now: DateTime<Utc>,
    ) -> Result<String> {
        let (iat, exp) = times(ttl, now)?;
        self.sign(&json!({
            "iss": issuer, "aud": client, "sub": sub, "nonce": nonce, "iat": iat, "exp": exp,
        }))
    }

    fn sign(&self, claims: &impl Serialize) -> Result<String> {
        let header = Header {
            kid: self.public.common.key_id.clone(),
            ..Header::new(Algorithm::EdDSA)
        };
        Ok(encode(&header, claims, &self.key)?)
    }

    /// Issues a token for `sub` that is valid for `ttl` from `now`.
    pub fn issue(
        &self,
        sub: Uuid,
        role: Role,
        ttl: Duration,
        now: DateTime<Utc>,
    ) -> Result<String> {
        let (iat, exp) = times(ttl, now)?;
        self.sign(&Claims {
            iss: ISSUER,
            aud: AUDIENCE,
            sub,
            iat,
            exp,
            scope: role.scope(),
        })
    }
}

/// When a token is issued, and when it expires.
fn times(ttl: Duration, now: DateTime<Utc>) -> Result<(i64, i64)> {
    let issued = now.timestamp();
    let expires = issued.checked_add_unsigned(ttl.as_secs());
    Ok((issued, expires.context("The expiry is out of range")?))
}

fn read_key(file: File) -> Result<Vec<u8>> {
    let mut key = Vec::new();
    file.take(MAX_KEY_BYTES).read_to_end(&mut key)?;
    Ok(key)
}

fn generate_key() -> Result<Vec<u8>> {
    // PKCS #8 version 1, without the public key, is the only form from which jsonwebtoken derives
    // the public key.
    let key = Ed25519KeyPair::generate_pkcs8v1(&SystemRandom::new())
        .map_err(|_| anyhow!("Cannot generate a key"))?;
    Ok(key.as_ref().to_vec())
}

fn make_key(folder: &Path, path: &Path) -> Result<Vec<u8>> {
    let key = generate_key()?;
    private_folder(folder)?;
    // The key gets its final name only when it is complete. If two processes do this at once, the
    // first one wins. Only the owner can read a temporary file.
    let mut draft = NamedTempFile::new_in(folder)?;
    draft.write_all(&key)?;
    draft.as_file().sync_all()?;
    match draft.persist_noclobber(path) {
        Err(lost) if lost.error.kind() == ErrorKind::AlreadyExists => read_key(File::open(path)?),
        Err(lost) => Err(lost.error.into()),
        Ok(_) => Ok(key),
    }
}
