//! Authentication of the benchmark's requests.

use std::time::Duration;

use anyhow::Result;
use local::demo::token::{AUDIENCE, ISSUER, Issuer, Role};
use shared::clock::{Clock, System};
use shared::config::RateLimitConfig;
use uuid::Uuid;

/// Validity of tokens, longer than any run.
const TOKEN_TTL: Duration = Duration::from_hours(1);

/// Environment variables that make a function or the gRPC server accept the issuer's tokens. The
/// calls are counted, but the highest limit allows more of them than a benchmark sends.
pub fn environment(issuer: &Issuer) -> Result<[(&'static str, String); 5]> {
    Ok([
        ("TELECOM_AUTH_ISSUER", ISSUER.to_owned()),
        ("TELECOM_AUTH_AUDIENCE", AUDIENCE.to_owned()),
        ("TELECOM_AUTH_JWKS", issuer.jwks()?),
        (
            "TELECOM_USER_REQUESTS_PER_MINUTE",
            RateLimitConfig::REQUESTS_PER_MINUTE.end().to_string(),
        ),
        (
            "TELECOM_USER_REQUEST_BURST",
            RateLimitConfig::BURST.end().to_string(),
        ),
    ])
}

/// Issues a token to `user`.
pub fn token(issuer: &Issuer, user: Uuid, role: Role) -> Result<String> {
    issuer.issue(user, role, TOKEN_TTL, System.now())
}
