//! What the environment says about callbacks.

use evenstock_channels::{HttpCallbacks, SenderError, callbacks_sender};
use evenstock_domain::RetrySchedule;
use evenstock_runtime::{ConfigError, Environment};

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
    let read = |text| RetrySchedule::parse(text).map_err(invalid);
    environment.optional(name).map_or_else(|| Ok(RetrySchedule::default()), read)
}

/// What calls endpoints. `ALLOW_PRIVATE_CALLBACKS=true` opens loopback and private addresses.
///
/// # Errors
/// [`SetupError`] when the environment is wrong or TLS cannot start.
pub fn sender(environment: &Environment) -> Result<HttpCallbacks, SetupError> {
    let allow_private = environment.parsed("ALLOW_PRIVATE_CALLBACKS", "true or false", false)?;
    Ok(callbacks_sender(allow_private)?)
}
