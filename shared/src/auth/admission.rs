//! What a call must pass before it is handled, on every transport.

use std::sync::Arc;

use http::HeaderMap;

use super::rate_limit::RateLimiter;
use super::{Authenticator, Principal};
use crate::clock::Clock;
use crate::config::RateLimitConfig;
use crate::error::Error;

/// Authenticates callers and limits the rate of their calls. Clones share the counts.
#[derive(Debug, Clone)]
pub struct Admission {
    authenticator: Authenticator,
    limiter: Arc<RateLimiter>,
}

impl Admission {
    /// Admits the callers that `authenticator` accepts, at most at the rate of `limit`.
    #[must_use]
    pub fn new(
        authenticator: Authenticator,
        limit: RateLimitConfig,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let limiter = Arc::new(RateLimiter::new(limit, clock));
        Self {
            authenticator,
            limiter,
        }
    }

    /// Authenticates the caller, then counts the call. A call without a valid token is not counted,
    /// because its user is unknown.
    pub async fn admit(&self, headers: &HeaderMap) -> Result<Principal, Error> {
        let principal = self.authenticator.authenticate(headers).await?;
        self.limiter.count(principal.user_id)?;
        Ok(principal)
    }
}
