//! Which marketplace is polled, and how.

use core::time::Duration;

use evenstock_app::{MARKETPLACE_B, PollPlan};
use evenstock_channels::{ApiSecret, MarketplaceB};
use evenstock_domain::{BreakerConfig, Source};
use evenstock_runtime::{ConfigError, Environment};

/// Time for one answer of the marketplace.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a probe of a half-open breaker may take: longer than the function's timeout, so that its holder is gone.
const PROBE_MS: i64 = 120_000;

/// Marketplace B with its plan.
pub type MarketplaceBPoll = (MarketplaceB, PollPlan);

/// Marketplace B as the environment describes it: `MARKETPLACE_B_API` and `MARKETPLACE_B_API_KEY`, polled every
/// `POLL_INTERVAL_SECONDS` (300) for `DEFAULT_ORGANIZATION` (`demo`), behind a breaker with `BREAKER_THRESHOLD` (3) and
/// `BREAKER_COOLDOWN_MS` (900000). `None` when no address is set.
///
/// # Errors
/// [`ConfigError`] naming the variable that is missing or wrong.
pub fn marketplace_b(environment: &Environment) -> Result<Option<MarketplaceBPoll>, ConfigError> {
    let Some(base_url) = environment.optional("MARKETPLACE_B_API") else {
        return Ok(None);
    };
    let name = "MARKETPLACE_B_API_KEY";
    let key = ApiSecret::new(environment.required(name)?)
        .map_err(|_| ConfigError::Invalid { name, expected: "visible ASCII without spaces" })?;
    let feed = MarketplaceB::new(base_url, key, ANSWER_TIMEOUT)
        .map_err(|_| ConfigError::Invalid { name: "MARKETPLACE_B_API", expected: "an http or https address" })?;
    let seconds: u32 = environment.parsed("POLL_INTERVAL_SECONDS", "a whole number of seconds", 300)?;
    let plan = PollPlan {
        source: Source::parse(MARKETPLACE_B).map_err(|_| ConfigError::Missing(MARKETPLACE_B))?,
        organization: environment.default_organization()?,
        interval_ms: i64::from(seconds) * 1000,
        breaker: BreakerConfig {
            threshold: environment.parsed("BREAKER_THRESHOLD", "a whole number", 3)?,
            cooldown_ms: i64::from(environment.parsed::<u32>("BREAKER_COOLDOWN_MS", "milliseconds", 900_000)?),
            probe_ms: PROBE_MS,
        },
    };
    Ok(Some((feed, plan)))
}
