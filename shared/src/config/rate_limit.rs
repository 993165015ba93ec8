//! How often one user may call the APIs.

use std::num::NonZeroU32;
use std::ops::RangeInclusive;

use super::{ConfigError, invalid, parsed};

const REQUESTS_PER_MINUTE: &str = "TELECOM_USER_REQUESTS_PER_MINUTE";
const BURST: &str = "TELECOM_USER_REQUEST_BURST";

/// How often one user may call one copy of a function, or one gRPC server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimitConfig {
    /// `TELECOM_USER_REQUESTS_PER_MINUTE` (default 1200, 0 to 1000000): rate of calls in the long
    /// run. `None` if the variable is 0: calls are not limited.
    pub requests_per_minute: Option<NonZeroU32>,
    /// `TELECOM_USER_REQUEST_BURST` (default 200, 1 to 100000): number of calls that a user may
    /// make at once after a pause.
    pub burst: NonZeroU32,
}

impl Default for RateLimitConfig {
    fn default() -> Self {
        const REQUESTS_PER_MINUTE: NonZeroU32 = NonZeroU32::new(1_200).unwrap();
        const BURST: NonZeroU32 = NonZeroU32::new(200).unwrap();
        Self {
            requests_per_minute: Some(REQUESTS_PER_MINUTE),
            burst: BURST,
        }
    }
}

impl RateLimitConfig {
    /// Accepted values of `TELECOM_USER_REQUESTS_PER_MINUTE`.
    pub const REQUESTS_PER_MINUTE: RangeInclusive<u32> = 0..=1_000_000;
    /// Accepted values of `TELECOM_USER_REQUEST_BURST`.
    pub const BURST: RangeInclusive<u32> = 1..=100_000;
    /// Calls are not limited.
    pub const OFF: Self = Self {
        requests_per_minute: None,
        burst: NonZeroU32::MIN,
    };

    /// Reads the variables. A variable that is not set has its default.
    pub fn from_env() -> Result<Self, ConfigError> {
        let default = Self::default();
        let requests_per_minute = default.requests_per_minute.map_or(0, NonZeroU32::get);
        Self::new(
            parsed(REQUESTS_PER_MINUTE, "a whole number", requests_per_minute)?,
            parsed(BURST, "a whole number", default.burst.get())?,
        )
    }

    /// A limit of these numbers. Fails if one of them is not in the accepted range.
    pub fn new(requests_per_minute: u32, burst: u32) -> Result<Self, ConfigError> {
        let accepted = &Self::REQUESTS_PER_MINUTE;
        Ok(Self {
            requests_per_minute: within(REQUESTS_PER_MINUTE, accepted, requests_per_minute)?,
            burst: within(BURST, &Self::BURST, burst)?.unwrap_or(NonZeroU32::MIN),
        })
    }
}

/// The number if it is accepted. `None` if it is 0.
fn within(
    name: &'static str,
    accepted: &RangeInclusive<u32>,
    number: u32,
) -> Result<Option<NonZeroU32>, ConfigError> {
    if accepted.contains(&number) {
        return Ok(NonZeroU32::new(number));
    }
    let (least, most) = (accepted.start(), accepted.end());
    Err(invalid(
        name,
        format!("{number} is not within {least} to {most}"),
    ))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::the_default(1_200, 200, RateLimitConfig::default())]
    #[case::no_limit(0, 1, RateLimitConfig::OFF)]
    fn a_limit_of_0_requests_is_none(
        #[case] requests_per_minute: u32,
        #[case] burst: u32,
        #[case] expected: RateLimitConfig,
    ) {
        let accepted = RateLimitConfig::new(requests_per_minute, burst).unwrap();
        assert_eq!(accepted, expected);
    }

    #[rstest]
    #[case::too_many_requests(
        1_000_001,
        1,
        "TELECOM_USER_REQUESTS_PER_MINUTE: 1000001 is not within 0 to 1000000"
    )]
    #[case::no_burst(1, 0, "TELECOM_USER_REQUEST_BURST: 0 is not within 1 to 100000")]
    #[case::too_large_a_burst(
        1,
        100_001,
        "TELECOM_USER_REQUEST_BURST: 100001 is not within 1 to 100000"
    )]
    fn other_limits_are_refused_with_the_accepted_range(
        #[case] requests_per_minute: u32,
        #[case] burst: u32,
        #[case] expected: &str,
    ) {
        let refusal = RateLimitConfig::new(requests_per_minute, burst).unwrap_err();
        assert_eq!(
            refusal.to_string(),
            format!("environment variable {expected}")
        );
    }
}
