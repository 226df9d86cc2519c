//! Which central system is pushed to, and how.

use evenstock_channels::{CentralClientError, HttpCentral, SystemLookup};
use evenstock_domain::{BreakerConfig, Guard};
use evenstock_runtime::{ConfigError, Environment};

/// How long a probe of a half-open breaker may take, in milliseconds: longer than the function's timeout, so that its
/// holder is gone.
const PROBE_MS: i64 = 120_000;

/// How pushes are made.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Who the central system is when it writes to us: an API key's id, or a source's name.
    pub theirs: Option<String>,
    /// How long a difference has to disappear before it is a conflict, in seconds.
    pub grace_seconds: u16,
    /// When the central system's breaker opens.
    pub breaker: BreakerConfig,
}

/// Why there is no central system to push to.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The environment.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The HTTP client.
    #[error("CENTRAL_INVENTORY_URL or CENTRAL_INVENTORY_KEY cannot be used")]
    Client(#[from] CentralClientError),
}

/// How pushes are made, as the environment says: `CENTRAL_INVENTORY_SOURCE`, `CENTRAL_INVENTORY_GRACE_SECONDS` (30),
/// `BREAKER_THRESHOLD` (3) and `BREAKER_COOLDOWN_MS` (900000).
///
/// # Errors
/// [`ConfigError`] naming the variable that is wrong.
pub fn settings(environment: &Environment) -> Result<Settings, ConfigError> {
    let (name, expected) = ("CENTRAL_INVENTORY_GRACE_SECONDS", "a whole number of seconds, at most 900");
    let grace_seconds = environment.parsed(name, expected, 30)?;
    if grace_seconds > evenstock_app::Outgoing::DELAY_SECONDS_MAX {
        return Err(ConfigError::Invalid { name, expected });
    }
    Ok(Settings {
        theirs: environment.optional("CENTRAL_INVENTORY_SOURCE").map(str::to_owned),
        grace_seconds,
        breaker: BreakerConfig {
            threshold: environment.parsed("BREAKER_THRESHOLD", "a whole number", 3)?,
            cooldown_ms: i64::from(environment.parsed::<u32>("BREAKER_COOLDOWN_MS", "milliseconds", 900_000)?),
            probe_ms: PROBE_MS,
        },
    })
}

/// The system at `CENTRAL_INVENTORY_URL`, which is shown `CENTRAL_INVENTORY_KEY`; `None` when no address is set.
/// `ALLOW_PRIVATE_CALLBACKS=true` lets it be plain and near.
///
/// # Errors
/// [`SetupError`].
pub fn central(environment: &Environment) -> Result<Option<HttpCentral>, SetupError> {
    let Some(url) = environment.optional("CENTRAL_INVENTORY_URL") else {
        return Ok(None);
    };
    let key = environment.required("CENTRAL_INVENTORY_KEY")?;
    let guard = Guard { allow_private: environment.parsed("ALLOW_PRIVATE_CALLBACKS", "true or false", false)? };
    Ok(Some(HttpCentral::new(url, key, guard, SystemLookup, HttpCentral::TIMEOUT)?))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const URL: (&str, &str) = ("CENTRAL_INVENTORY_URL", "https://central.example");
    const KEY: (&str, &str) = ("CENTRAL_INVENTORY_KEY", "hunter2");

    #[test]
    fn no_address_means_no_central_system() {
        assert!(central(&[KEY].into_iter().collect()).unwrap().is_none());
        let known = central(&[URL, KEY].into_iter().collect()).unwrap();
        assert!(known.is_some() && !format!("{known:?}").contains("hunter2"));
    }

    #[rstest]
    #[case::no_key(&[URL])]
    #[case::plain(&[("CENTRAL_INVENTORY_URL", "http://central.example"), KEY])]
    #[case::near(&[("CENTRAL_INVENTORY_URL", "https://127.0.0.1:9000"), KEY])]
    #[case::key_of_two_words(&[URL, ("CENTRAL_INVENTORY_KEY", "hunter2 hunter2")])]
    fn address_that_cannot_be_used_is_refused_at_start(#[case] pairs: &[(&str, &str)]) {
        let error = central(&pairs.iter().copied().collect()).unwrap_err();
        let said = format!("{error} {error:?}");
        assert!(said.contains("CENTRAL_INVENTORY_KEY") && !said.contains("hunter2"), "{said}");
    }

    #[test]
    fn grace_is_no_longer_than_a_message_can_wait() {
        let grace = |text| settings(&[("CENTRAL_INVENTORY_GRACE_SECONDS", text)].into_iter().collect());
        assert_eq!(grace("900").unwrap().grace_seconds, 900);
        assert!(grace("901").is_err());
        assert_eq!(settings(&Environment::default()).unwrap().grace_seconds, 30);
    }
}
