//! Authentication of callers by JSON Web Tokens of the issuer that the deployment trusts.

mod admission;
mod keys;
mod rate_limit;
mod verified;

use std::sync::Arc;

use http::HeaderMap;
use http::header::AUTHORIZATION;
use jsonwebtoken::errors::{Error as TokenError, ErrorKind as TokenErrorKind};
use jsonwebtoken::{Header, Validation, decode, decode_header};
use serde::Deserialize;
use uuid::Uuid;

use crate::clock::Clock;
use crate::config::{AuthConfig, JwksConfig};
use crate::domain::audit::Actor;
use crate::domain::condition::Conditions;
use crate::error::{Error, ErrorKind};
use crate::telemetry::RequestIds;

pub use admission::Admission;
use keys::{Key, KeySource};
use verified::Verified;

/// The scope that permits to read through `/v1/admin` and the `*Manage` services.
pub const ADMIN_READ_SCOPE: &str = "telecom:admin.read";
/// The scope that permits all of `/v1/admin` and of the `*Manage` services.
pub const ADMIN_SCOPE: &str = "telecom:admin";
/// The scope that, together with [`ADMIN_SCOPE`], permits unmasked keys and passwords.
pub const SECRETS_SCOPE: &str = "telecom:secrets";
/// Maximum difference between the issuer's clock and ours, in seconds.
const LEEWAY_SECONDS: i64 = 30;

/// The callers that may use an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Every user, for their own data.
    User,
    /// Callers whose token has [`ADMIN_READ_SCOPE`] or [`ADMIN_SCOPE`].
    AdminRead,
    /// Callers whose token has [`ADMIN_SCOPE`].
    Admin,
    /// Administrators who may see secrets.
    Secrets,
}

/// Accepted token types (`typ`, case-insensitive): JWT, and access token as defined by RFC 9068.
const TYPES: [&str; 3] = ["jwt", "at+jwt", "application/at+jwt"];

/// The authenticated caller of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// The `sub` of the token.
    pub user_id: Uuid,
    /// Whether the `scope` of the token contains [`ADMIN_SCOPE`].
    pub admin: bool,
    /// Whether the `scope` of the token contains [`ADMIN_READ_SCOPE`].
    pub admin_read: bool,
    /// Whether the `scope` of the token contains [`SECRETS_SCOPE`].
    pub secrets: bool,
    /// The id of the request or of its trace. `None` if it has neither.
    pub request_id: Option<String>,
    /// The conditions of the call. Empty until they are parsed.
    pub conditions: Conditions,
}

impl Principal {
    /// The caller, for the audit log.
    #[must_use]
    pub fn actor(&self) -> Actor {
        Actor {
            user_id: self.user_id,
            request_id: self.request_id.clone(),
        }
    }

    /// Fails if the caller lacks a scope that `access` requires.
    pub fn authorize(&self, access: Access) -> Result<(), Error> {
        let missing = match access {
            Access::AdminRead if !(self.admin || self.admin_read) => ADMIN_READ_SCOPE,
            Access::Admin | Access::Secrets if !self.admin => ADMIN_SCOPE,
            Access::Secrets if !self.secrets => SECRETS_SCOPE,
            _ => return Ok(()),
        };
        Err(Error::new(
            ErrorKind::PermissionDenied,
            "scope_missing",
            format!("The token lacks the scope {missing}."),
        ))
    }
}

#[derive(Clone, Deserialize)]
struct Claims {
    sub: String,
    exp: i64,
    iat: Option<i64>,
    nbf: Option<i64>,
    #[serde(default)]
    scope: String,
}

/// Verifies the tokens of one issuer, as [`AuthConfig`] requires.
#[derive(Clone)]
pub struct Authenticator {
    keys: KeySource,
    issuer: String,
    audience: String,
    max_lifetime_seconds: i64,
    clock: Arc<dyn Clock>,
    verified: Arc<Verified>,
}

impl std::fmt::Debug for Authenticator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authenticator")
            .field("issuer", &self.issuer)
            .finish_non_exhaustive()
    }
}

impl Authenticator {
    /// An authenticator that trusts the keys in `config`, or at the URL in `config`.
    pub fn new(config: AuthConfig, clock: Arc<dyn Clock>) -> Result<Self, reqwest::Error> {
        let AuthConfig {
            issuer,
            audience,
            jwks,
            max_lifetime,
        } = config;
        let keys = match jwks {
            JwksConfig::Inline(set) => KeySource::fixed(&set),
            JwksConfig::Published(url) => KeySource::published(url, Arc::clone(&clock))?,
        };
        let max_lifetime_seconds = i64::try_from(max_lifetime.as_secs()).unwrap_or(i64::MAX);
        Ok(Self {
            keys,
            issuer,
            audience,
            max_lifetime_seconds,
            clock,
            verified: Arc::default(),
        })
    }

    /// Reads and verifies the bearer token of a request. A request with two tokens is rejected,
    /// because it is unknown which of them a proxy has checked.
    pub async fn authenticate(&self, headers: &HeaderMap) -> Result<Principal, Error> {
        let mut given = headers.get_all(AUTHORIZATION).iter();
        let header = given
            .next()
            .ok_or_else(|| unauthenticated("token_missing", "Bearer token is missing."))?;
        let token = header
            .to_str()
            .ok()
            .filter(|_| given.next().is_none())
            .and_then(|value| value.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .map(|(_, token)| token.trim())
            .ok_or_else(|| {
                unauthenticated(
                    "token_malformed",
                    "The request must have one authorization header: \"Bearer <token>\".",
                )
            })?;
        let RequestIds {
            request_id,
            trace_id,
        } = RequestIds::of(headers);
        Ok(Principal {
            request_id: request_id.or(trace_id),
            ..self.verify(token).await?
        })
    }

    /// Verifies the type, signature, issuer, audience and times of a token.
    pub async fn verify(&self, token: &str) -> Result<Principal, Error> {
        let header = decode_header(token).map_err(|error| {
            unauthenticated("token_malformed", "The token is malformed.")
                .with_source(reason(&error))
        })?;
        check_header(&header)?;
        let unknown = || {
            unauthenticated(
                "token_key_unknown",
                "The token is signed with an unknown key.",
            )
        };
        let key = self
            .keys
            .find(&header.kid.ok_or_else(unknown)?)
            .await?
            .ok_or_else(unknown)?;
        let claims = self
            .verified
            .claims(token, &key, || self.decode(token, &key))?;
        self.check_times(&claims)?;
        let user_id = claims.sub.parse().map_err(|_| {
            unauthenticated(
                "token_invalid",
                "The subject of the token is not a user id.",
            )
        })?;
        let has = |wanted: &str| claims.scope.split(' ').any(|scope| scope == wanted);
        Ok(Principal {
            user_id,
            admin: has(ADMIN_SCOPE),
            admin_read: has(ADMIN_READ_SCOPE),
            secrets: has(SECRETS_SCOPE),
            request_id: None,
            conditions: Conditions::default(),
        })
    }

    /// Verifies signature, issuer and audience. The times are checked separately with our clock.
    fn decode(&self, token: &str, key: &Key) -> Result<Claims, Error> {
        let mut validation = Validation::new(key.algorithm);
        validation.set_issuer(&[&self.issuer]);
        validation.set_audience(&[&self.audience]);
        validation.set_required_spec_claims(&["iss", "aud", "sub", "exp"]);
        validation.validate_exp = false;
        let token = decode(token, &key.decoding, &validation).map_err(|error| {
            unauthenticated("token_invalid", "The token is not valid.").with_source(reason(&error))
        })?;
        Ok(token.claims)
    }

    fn check_times(&self, claims: &Claims) -> Result<(), Error> {
        let now = self.clock.now().timestamp();
        if claims.exp.saturating_add(LEEWAY_SECONDS) <= now {
            return Err(unauthenticated("token_expired", "The token has expired."));
        }
        if claims
            .nbf
            .is_some_and(|nbf| nbf.saturating_sub(LEEWAY_SECONDS) > now)
        {
            return Err(unauthenticated(
                "token_not_yet_valid",
                "The token is not valid yet.",
            ));
        }
        // A token without `iat` counts as issued now.
        let issued = claims.iat.unwrap_or(now).min(now);
        if claims.exp.saturating_sub(issued)
            > self.max_lifetime_seconds.saturating_add(LEEWAY_SECONDS)
        {
            let message = format!(
                "The token is valid for longer than {} seconds.",
                self.max_lifetime_seconds
            );
            return Err(unauthenticated("token_lifetime_too_long", message));
        }
        Ok(())
    }
}

/// Checks the type of a token. Also rejects critical headers, which must be understood (RFC 7515,
/// 4.1.11), because none is supported.
fn check_header(header: &Header) -> Result<(), Error> {
    let known = |kind: &String| TYPES.contains(&kind.to_ascii_lowercase().as_str());
    if header.crit.is_some() {
        return Err(unauthenticated(
            "token_invalid",
            "The token has critical headers, which are not supported.",
        ));
    }
    if !header.typ.as_ref().is_none_or(known) {
        return Err(unauthenticated(
            "token_invalid",
            "The type of the token is not JWT or at+jwt.",
        ));
    }
    Ok(())
}

/// The reason why a token is malformed, for the log. It omits the text of the token, which some of
/// these errors quote.
fn reason(error: &TokenError) -> String {
    match error.kind() {
        TokenErrorKind::Json(_) => "invalid JSON".to_owned(),
        TokenErrorKind::Base64(_) => "invalid base64".to_owned(),
        TokenErrorKind::Utf8(_) => "invalid UTF-8".to_owned(),
        _ => error.to_string(),
    }
}

fn unauthenticated(code: &'static str, message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Unauthenticated, code, message)
}
