//! The stores that the environment names.

use evenstock_app::StockSignal;
use evenstock_channels::Secret;
use evenstock_domain::{LocationId, StoreId};
use evenstock_runtime::{ConfigError, Environment};

use crate::Connection;

/// The store that deliveries without a store in their path come for, and the place of its stock that has no other.
pub(crate) const DEFAULT_STORE: &str = "default";

/// Marketplace A's default store, whose secret is `MARKETPLACE_A_SECRET` (several separated by commas while one is being
/// replaced), for the organization `DEFAULT_ORGANIZATION` (`demo` unless set). It is an authority.
///
/// # Errors
/// [`ConfigError`] when the secret is missing or a name is none.
pub fn connections(environment: &Environment) -> Result<Vec<Connection>, ConfigError> {
    let name = "MARKETPLACE_A_SECRET";
    let secrets = environment.required(name)?.split(',').map(|secret| Secret::new(secret.trim()));
    let secrets = secrets
        .map(|secret| secret.map(|secret| (secret, None)))
        .collect::<Result<_, _>>()
        .map_err(|_| ConfigError::Invalid { name, expected: "secrets separated by commas, none empty" })?;
    Ok(vec![Connection {
        channel: "marketplace-a".to_owned(),
        store: StoreId::parse(DEFAULT_STORE).map_err(|_| ConfigError::Missing(DEFAULT_STORE))?,
        organization: environment.default_organization()?,
        default_location: LocationId::parse(DEFAULT_STORE).map_err(|_| ConfigError::Missing(DEFAULT_STORE))?,
        stock_signal: StockSignal::Authority,
        secrets,
    }])
}
