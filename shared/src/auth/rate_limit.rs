//! The limit on the rate of each user's calls. The calls are counted in the memory of the process.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::StateStore;
use governor::{Quota, clock};
use lru::LruCache;
use uuid::Uuid;

use crate::clock::Clock;
use crate::config::RateLimitConfig;
use crate::error::Error;

/// Maximum number of users whose calls are counted, which takes about seven megabytes. The user who
/// has not called for the longest time is forgotten first. With the default limit, a user has the
/// whole burst again after ten seconds without a call, and is then the same as a forgotten one.
const MAX_USERS: usize = 65_536;

/// Limits the calls of each user by the generic cell rate algorithm.
#[derive(Debug)]
pub struct RateLimiter(Option<Calls>);

type Calls = governor::RateLimiter<Uuid, Users, Elapsed, NoOpMiddleware<Duration>>;

impl RateLimiter {
    /// A limiter whose users have not called yet.
    #[must_use]
    pub fn new(config: RateLimitConfig, clock: Arc<dyn Clock>) -> Self {
        let RateLimitConfig {
            requests_per_minute,
            burst,
        } = config;
        Self(requests_per_minute.map(|requests| {
            let quota = Quota::per_minute(requests).allow_burst(burst);
            Calls::new(quota, Users::default(), Elapsed::since_now(clock))
        }))
    }

    /// Counts a call of a user. Fails, and does not count the call, if it exceeds the limit.
    pub fn count(&self, user_id: Uuid) -> Result<(), Error> {
        let Some(calls) = &self.0 else { return Ok(()) };
        calls.check_key(&user_id).map_err(|refused| {
            let now = clock::Clock::now(calls.clock());
            Error::rate_limited(refused.wait_time_from(now))
        })
    }
}

/// When each user's calls so far will no longer count, after the start of the limiter.
#[derive(Debug)]
struct Users(Mutex<LruCache<Uuid, Nanos>>);

impl Default for Users {
    /// Unlike a cache of a given capacity, an unbounded one allocates nothing yet.
    fn default() -> Self {
        Self(Mutex::new(LruCache::unbounded()))
    }
}

impl StateStore for Users {
    type Key = Uuid;

    fn measure_and_replace<T, F, E>(&self, user_id: &Uuid, decide: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let mut users = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (outcome, until) = decide(users.get(user_id).copied())?;
        users.put(*user_id, until);
        if users.len() > MAX_USERS {
            users.pop_lru();
        }
        Ok(outcome)
    }
}

/// The time that has passed on a clock, which may be set back. [`std::time::Instant`] would not do,
/// because it may stand still while a function is frozen between two calls.
struct Elapsed {
    clock: Arc<dyn Clock>,
    read: Mutex<(DateTime<Utc>, Duration)>,
}

impl Elapsed {
    fn since_now(clock: Arc<dyn Clock>) -> Self {
        let read = Mutex::new((clock.now(), Duration::ZERO));
        Self { clock, read }
    }
}

impl clock::Clock for Elapsed {
    type Instant = Duration;

    fn now(&self) -> Duration {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let (last, elapsed) = &mut *read;
        let now = self.clock.now();
        // The difference is negative if the clock was set back. It then counts as no time.
        *elapsed += (now - *last).to_std().unwrap_or_default();
        *last = now;
        *elapsed
    }
}

impl std::fmt::Debug for Elapsed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Elapsed")
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use chrono::TimeDelta;

    use super::*;
    use crate::clock::Fixed;

    const USER: Uuid = Uuid::from_u128(1);
    const OTHER: Uuid = Uuid::from_u128(2);

    /// Half a call per second, and three at once.
    fn limited() -> (RateLimiter, Arc<Fixed>) {
        limited_to(30, 3)
    }

    fn limited_to(requests_per_minute: u32, burst: u32) -> (RateLimiter, Arc<Fixed>) {
        let clock = Fixed::at("2026-03-10T10:30:00Z".parse().unwrap());
        let config = RateLimitConfig::new(requests_per_minute, burst).unwrap();
        (RateLimiter::new(config, clock.clone()), clock)
    }

    fn advance(clock: &Fixed, millis: i64) {
        clock.set(clock.now() + TimeDelta::milliseconds(millis));
    }

    /// The number of calls, of at most ten, that pass before one is refused.
    fn passing(limiter: &RateLimiter, user: Uuid) -> usize {
        (0..10).take_while(|_| limiter.count(user).is_ok()).count()
    }

    fn wait_seconds(limiter: &RateLimiter, user: Uuid) -> Option<u64> {
        let refusal = limiter.count(user).err()?;
        assert_eq!(refusal.code(), "rate_limited");
        refusal.retry_after().map(|wait| wait.as_secs())
    }

    #[test]
    fn a_burst_passes_and_the_next_call_after_the_wait() {
        let (limiter, clock) = limited();
        assert_eq!(passing(&limiter, USER), 3);
        assert_eq!(wait_seconds(&limiter, USER), Some(2));
        advance(&clock, 1_999);
        assert_eq!(wait_seconds(&limiter, USER), Some(1));
        advance(&clock, 1);
        assert_eq!(passing(&limiter, USER), 1);
        advance(&clock, 6_000);
        assert_eq!(passing(&limiter, USER), 3, "the whole burst again");
        advance(&clock, 3_600_000);
        assert_eq!(passing(&limiter, USER), 3, "no more than the burst");
    }

    #[test]
    fn users_do_not_share_a_limit() {
        let (limiter, _) = limited();
        assert_eq!(passing(&limiter, USER), 3);
        assert_eq!(passing(&limiter, OTHER), 3);
    }

    #[test]
    fn refused_calls_do_not_extend_the_wait() {
        let (limiter, clock) = limited();
        assert_eq!(passing(&limiter, USER), 3);
        for _ in 0..100 {
            assert_eq!(wait_seconds(&limiter, USER), Some(2));
        }
        advance(&clock, 2_000);
        assert_eq!(passing(&limiter, USER), 1);
    }

    #[test]
    fn a_clock_that_is_set_back_extends_no_wait() {
        let (limiter, clock) = limited();
        assert_eq!(passing(&limiter, USER), 3);
        advance(&clock, -3_600_000);
        assert_eq!(wait_seconds(&limiter, USER), Some(2));
        advance(&clock, 2_000);
        assert_eq!(passing(&limiter, USER), 1);
    }

    #[test]
    fn the_number_of_counted_users_is_bounded() {
        let (limiter, _) = limited();
        assert_eq!(passing(&limiter, USER), 3);
        let others = (3..).map(Uuid::from_u128);
        for other in others.take(MAX_USERS + 1_000) {
            limiter.count(other).unwrap();
            // A user who keeps calling is not forgotten.
            assert!(limiter.count(USER).is_err());
        }
        let counted = limiter.0.unwrap().into_state_store().0.into_inner();
        assert_eq!(counted.unwrap().len(), MAX_USERS);
    }

    #[test]
    fn a_limit_of_0_refuses_no_call() {
        let (limiter, _) = limited_to(0, 1);
        assert_eq!(passing(&limiter, USER), 10);
    }

    #[test]
    fn the_extreme_limits_are_kept() {
        let (limiter, clock) = limited_to(1, 100_000);
        assert!((0..100_000).all(|_| limiter.count(USER).is_ok()));
        assert_eq!(wait_seconds(&limiter, USER), Some(60));
        advance(&clock, 60_000);
        assert_eq!(passing(&limiter, USER), 1);
        let (limiter, _) = limited_to(1_000_000, 1);
        assert_eq!(passing(&limiter, USER), 1);
        assert_eq!(wait_seconds(&limiter, USER), Some(1));
    }
}
