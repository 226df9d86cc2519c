//! How many requests a key has left, as far as this instance knows. The exact limit is API Gateway's.

use core::num::NonZeroU32;

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use governor::clock::{Clock as _, DefaultClock};
use governor::middleware::StateInformationMiddleware;
use governor::state::keyed::DefaultKeyedStateStore;
use governor::{Quota, RateLimiter};

use crate::{ConfigError, Environment};

static LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
static REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
static RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");

type Limiter = RateLimiter<String, DefaultKeyedStateStore<String>, DefaultClock, StateInformationMiddleware>;

/// A token bucket for each key: `RATE_LIMIT_RPS` a second, `RATE_LIMIT_BURST` at once.
#[derive(Debug)]
pub struct RateLimits {
    limiter: Limiter,
    per_second: NonZeroU32,
    burst: NonZeroU32,
}

/// What is left for a key.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rate {
    limit: u32,
    remaining: u32,
    reset_seconds: u32,
    pub(super) refused_for_seconds: Option<u32>,
}

impl RateLimits {
    /// Limits from the environment: 100 a second and 200 at once unless set.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`] when a limit is not a whole number above 0.
    pub fn from_environment(environment: &Environment) -> Result<Self, ConfigError> {
        let expected = "a whole number above 0";
        let (rps, burst) = (NonZeroU32::MIN.saturating_add(99), NonZeroU32::MIN.saturating_add(199));
        let per_second = environment.parsed("RATE_LIMIT_RPS", expected, rps)?;
        let burst = environment.parsed("RATE_LIMIT_BURST", expected, burst)?;
        Ok(Self::new(per_second, burst))
    }

    /// So many requests a second, and so many at once.
    pub fn new(per_second: NonZeroU32, burst: NonZeroU32) -> Self {
        let quota = Quota::per_second(per_second).allow_burst(burst);
        let limiter = RateLimiter::keyed(quota).with_middleware::<StateInformationMiddleware>();
        Self { limiter, per_second, burst }
    }

    pub(super) fn take(&self, key: &str) -> Rate {
        let limit = self.burst.get();
        match self.limiter.check_key(&key.to_owned()) {
            Ok(state) => {
                let remaining = state.remaining_burst_capacity();
                let missing = limit.saturating_sub(remaining);
                let reset_seconds = missing.div_ceil(self.per_second.get());
                Rate { limit, remaining, reset_seconds, refused_for_seconds: None }
            }
            Err(refused) => {
                let wait = refused.wait_time_from(DefaultClock::default().now()).as_secs();
                let wait = u32::try_from(wait).unwrap_or(u32::MAX).saturating_add(1);
                Rate { limit, remaining: 0, reset_seconds: wait, refused_for_seconds: Some(wait) }
            }
        }
    }
}

impl Rate {
    pub(super) fn write(&self, headers: &mut HeaderMap) {
        headers.insert(LIMIT.clone(), HeaderValue::from(self.limit));
        headers.insert(REMAINING.clone(), HeaderValue::from(self.remaining));
        headers.insert(RESET.clone(), HeaderValue::from(self.reset_seconds));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(number: u32) -> NonZeroU32 {
        NonZeroU32::new(number).unwrap()
    }

    #[test]
    fn burst_is_given_then_refused_with_a_wait() {
        let limits = RateLimits::new(number(1), number(3));
        let first = limits.take("a");
        assert_eq!((first.limit, first.remaining, first.reset_seconds), (3, 2, 1));
        // A slow machine may win back a request on the way, never more than one a second.
        let refused = (0..50).map(|_| limits.take("a")).find(|rate| rate.refused_for_seconds.is_some()).unwrap();
        assert_eq!((refused.limit, refused.remaining), (3, 0));
        assert_eq!(refused.refused_for_seconds, Some(1));
        assert_eq!(limits.take("b").remaining, 2, "each key has its own");
    }

    #[test]
    fn limits_come_from_the_environment_and_are_never_zero() {
        let limits = |name: &str, value: &str| {
            RateLimits::from_environment(&[(name, value)].into_iter().collect()).map(|limits| limits.take("a").limit)
        };
        assert_eq!(limits("OTHER", "1"), Ok(200));
        assert_eq!(limits("RATE_LIMIT_BURST", "7"), Ok(7));
        for (name, value) in [("RATE_LIMIT_RPS", "0"), ("RATE_LIMIT_BURST", "-1"), ("RATE_LIMIT_BURST", "many")] {
            assert!(matches!(limits(name, value), Err(ConfigError::Invalid { .. })), "{name}={value}");
        }
    }

    #[test]
    fn headers_tell_what_is_left() {
        let mut headers = HeaderMap::new();
        Rate { limit: 200, remaining: 7, reset_seconds: 2, refused_for_seconds: None }.write(&mut headers);
        let shown = |name: &str| headers.get(name).unwrap().to_str().unwrap().to_owned();
        let names = ["x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"];
        assert_eq!(names.map(shown), ["200", "7", "2"]);
    }
}
