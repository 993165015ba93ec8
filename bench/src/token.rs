//! Authentication of the benchmark's requests.

use std::time::Duration;

use anyhow::Result;
use local::demo::token::{AUDIENCE, ISSUER, Issuer, Role};
use shared::clock::{Clock, System};
use uuid::Uuid;

/// Validity of tokens, longer than any run.
const TOKEN_TTL: Duration = Duration::from_hours(1);

/// Environment variables that make a function or the gRPC server accept the issuer's tokens.
pub fn environment(issuer: &Issuer) -> Result<[(&'static str, String); 3]> {
    Ok([
        ("TELECOM_AUTH_ISSUER", ISSUER.to_owned()),
        ("TELECOM_AUTH_AUDIENCE", AUDIENCE.to_owned()),
        ("TELECOM_AUTH_JWKS", issuer.jwks()?),
    ])
}

/// Issues a token to `user`.
pub fn token(issuer: &Issuer, user: Uuid, role: Role) -> Result<String> {
    issuer.issue(user, role, TOKEN_TTL, System.now())
}
