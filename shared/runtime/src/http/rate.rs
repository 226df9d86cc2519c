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
