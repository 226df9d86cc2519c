//! What the environment says about callbacks.

use core::time::Duration;

use evenstock_channels::{HttpCallbacks, SenderError, SystemLookup};
use evenstock_domain::{Guard, RetrySchedule};
use evenstock_runtime::{ConfigError, Environment};

/// How long a receiver may take to answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(15);

/// Why callbacks cannot be sent.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The environment.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The HTTP client.
    #[error(transparent)]
    Sender(#[from] SenderError),
}

/// When deliveries are tried again: `CALLBACK_RETRY_SCHEDULE`, such as `1m,5m`.
///
/// # Errors
/// [`ConfigError::Invalid`] when it is no schedule.
pub fn retry_schedule(environment: &Environment) -> Result<RetrySchedule, ConfigError> {
    let name = "CALLBACK_RETRY_SCHEDULE";
    let invalid = |_| ConfigError::Invalid { name, expected: "at most 20 waits from 1s to 24h, such as 1m,5m" };
    environment.optional(name).map_or_else(|| Ok(RetrySchedule::default()), |text| RetrySchedule::parse(text).map_err(invalid))
}

/// What calls endpoints. `ALLOW_PRIVATE_CALLBACKS=true` opens loopback and private addresses.
///
/// # Errors
/// [`SetupError`] when the environment is wrong or TLS cannot start.
pub fn sender(environment: &Environment) -> Result<HttpCallbacks, SetupError> {
    let allow_private = environment.parsed("ALLOW_PRIVATE_CALLBACKS", "true or false", false)?;
    Ok(HttpCallbacks::new(Guard { allow_private }, SystemLookup, ANSWER_LIMIT)?)
}
