//! The local issuer of tokens: a key pair of this machine's own.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::Ed25519KeyPair;
use chrono::{DateTime, Utc};
use jsonwebtoken::jwk::{Jwk, JwkSet, KeyAlgorithm, PublicKeyUse, ThumbprintHash};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde::Serialize;
use shared::auth::{ADMIN_SCOPE, SECRETS_SCOPE};
use uuid::Uuid;

/// The tokens' `iss`.
pub const ISSUER: &str = "https://issuer.telecom.local";
/// The tokens' `aud`.
pub const AUDIENCE: &str = "telecom";

/// What a token lets its bearer do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Read what is theirs.
    User,
    /// Read about the fleet and everybody's packages.
    Admin,
    /// See keys and passwords, too.
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
/// Room for any Ed25519 key; a file that is longer is none.
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
    key_id: String,
}

impl std::fmt::Debug for Issuer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Issuer")
            .field("key_id", &self.key_id)
            .finish_non_exhaustive()
    }
}

impl Issuer {
    /// The issuer whose key is kept in `folder`; made there, readable for nobody else, if it is
    /// missing.
    pub fn open(folder: &Path) -> Result<Self> {
        let path = folder.join(KEY_FILE);
        let pkcs8 = match File::open(&path) {
            Ok(file) => read_key(file),
            Err(error) if error.kind() == ErrorKind::NotFound => make_key(folder, &path),
            Err(error) => Err(error.into()),
        };
        let pkcs8 =
            pkcs8.with_context(|| format!("Cannot use the signing key {}", path.display()))?;
        Self::new(&pkcs8).with_context(|| {
            format!(
                "{} is no Ed25519 key; remove it to have another",
                path.display()
            )
        })
    }

    fn new(pkcs8: &[u8]) -> Result<Self> {
        let key = EncodingKey::from_ed_der(pkcs8);
        let mut public = Jwk::from_encoding_key(&key, Algorithm::EdDSA)?;
        let key_id = public.thumbprint(ThumbprintHash::SHA256)?;
        public.common.key_id = Some(key_id.clone());
        public.common.key_algorithm = Some(KeyAlgorithm::EdDSA);
        public.common.public_key_use = Some(PublicKeyUse::Signature);
        Ok(Self {
            key,
            public,
            key_id,
        })
    }

    /// The public key, as a JSON Web Key Set on one line.
    pub fn jwks(&self) -> Result<String> {
        Ok(serde_json::to_string(&JwkSet {
            keys: vec![self.public.clone()],
        })?)
    }

    /// A token for `sub`, valid for `ttl` from `now`.
    pub fn issue(
        &self,
        sub: Uuid,
        role: Role,
        ttl: Duration,
        now: DateTime<Utc>,
    ) -> Result<String> {
        let iat = now.timestamp();
        let exp = iat
            .checked_add_unsigned(ttl.as_secs())
            .context("the token would never expire")?;
        let header = Header {
            kid: Some(self.key_id.clone()),
            ..Header::new(Algorithm::EdDSA)
        };
        Ok(encode(
            &header,
            &Claims {
                iss: ISSUER,
                aud: AUDIENCE,
                sub,
                iat,
                exp,
                scope: role.scope(),
            },
            &self.key,
        )?)
    }
}

fn read_key(file: File) -> Result<Vec<u8>> {
    let mut key = Vec::new();
    file.take(MAX_KEY_BYTES).read_to_end(&mut key)?;
    Ok(key)
}

fn make_key(folder: &Path, path: &Path) -> Result<Vec<u8>> {
    // Version 1, the bare private key: the only form that jsonwebtoken derives the public key from.
    let key = Ed25519KeyPair::generate_pkcs8v1(&SystemRandom::new())
        .map_err(|_| anyhow!("no key could be made"))?;
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)?;
    // Whole or not at all: a crash leaves no half key, and of two makers at once the first wins.
    let draft = folder.join(format!(".{KEY_FILE}.{}", std::process::id()));
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&draft)?;
    file.write_all(key.as_ref())?;
    file.sync_all()?;
    let linked = std::fs::hard_link(&draft, path);
    std::fs::remove_file(&draft)?;
    match linked {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => read_key(File::open(path)?),
        Err(error) => Err(error.into()),
        Ok(()) => Ok(key.as_ref().to_vec()),
    }
}
