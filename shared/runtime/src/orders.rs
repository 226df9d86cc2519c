//! How the marketplaces are asked about receipts, as the environment says.

use evenstock_app::OrderPolicy;
use evenstock_domain::{BreakerConfig, RetryPolicy};

use crate::{ConfigError, Environment};

/// Calls after which a receipt that failed is asked about no more.
const CALLS_MAX: u32 = 10;

/// How long a claim of a receipt holds, in milliseconds: longer than what is left of any function that claims one, the
/// longest call of a marketplace included.
const CLAIM_MS: i64 = 60_000;

/// How long the probe of a half-open breaker may take, in milliseconds.
const PROBE_MS: i64 = 60_000;

impl Environment {
    /// When receipts are asked about again, `RECEIPT_RETRY_BASE_SECONDS` (300) and `RECEIPT_RETRY_MAX_SECONDS` (3600), and
    /// when a store's breaker opens, `BREAKER_THRESHOLD` (3) and `BREAKER_COOLDOWN_MS` (900000).
    ///
    /// # Errors
    /// [`ConfigError::Invalid`] when one is no number, or too small.
    pub fn order_policy(&self) -> Result<OrderPolicy, ConfigError> {
        let base_ms = self.seconds("RECEIPT_RETRY_BASE_SECONDS", 300)?;
        let max_ms = self.seconds("RECEIPT_RETRY_MAX_SECONDS", 3600)?;
        if max_ms < base_ms {
            let expected = "at least RECEIPT_RETRY_BASE_SECONDS";
            return Err(ConfigError::Invalid { name: "RECEIPT_RETRY_MAX_SECONDS", expected });
        }
        let breaker = BreakerConfig {
            threshold: self.parsed("BREAKER_THRESHOLD", "a whole number of failures", 3)?,
            cooldown_ms: self.parsed("BREAKER_COOLDOWN_MS", "a whole number of milliseconds", 900_000)?,
            probe_ms: PROBE_MS,
        };
        Ok(OrderPolicy { retry: RetryPolicy { base_ms, max_ms, calls_max: CALLS_MAX }, breaker, claim_ms: CLAIM_MS })
    }

    /// How long a worker has a store, in milliseconds, `STORE_LEASE_SECONDS`: 900 unless set.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`] when it is no number, or too small.
    pub fn store_lease_ms(&self) -> Result<i64, ConfigError> {
        self.seconds("STORE_LEASE_SECONDS", 900)
    }

    fn seconds(&self, name: &'static str, default: u32) -> Result<i64, ConfigError> {
        let expected = "a whole number of seconds, at least 1";
        match self.parsed::<u32>(name, expected, default)? {
            0 => Err(ConfigError::Invalid { name, expected }),
            seconds => Ok(i64::from(seconds) * 1000),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_those_of_the_environment_or_the_usual_ones() {
        let waits = |pairs: &[(&str, &str)]| {
            let environment: Environment = pairs.iter().copied().collect();
            environment.order_policy().map(|policy| (policy.retry.base_ms, policy.retry.max_ms))
        };
        assert_eq!(waits(&[]), Ok((300_000, 3_600_000)));
        assert_eq!(waits(&[("RECEIPT_RETRY_BASE_SECONDS", "1")]), Ok((1000, 3_600_000)));
        for (name, value) in [("RECEIPT_RETRY_BASE_SECONDS", "0"), ("RECEIPT_RETRY_MAX_SECONDS", "299")] {
            assert!(waits(&[(name, value)]).unwrap_err().to_string().contains(name));
        }
        assert_eq!(Environment::default().store_lease_ms(), Ok(900_000));
    }
}
