//! Which stores deliver here, and with what secret.

use evenstock_channels::Secret;
use evenstock_domain::{OrganizationId, StoreId};
use evenstock_runtime::{ConfigError, Environment};

/// The store that deliveries without a store in their path come for.
pub(crate) const DEFAULT_STORE: &str = "default";

/// A store that delivers here.
#[derive(Debug, Clone)]
pub struct Connection {
    pub(crate) channel: &'static str,
    /// The seller's account.
    pub store: StoreId,
    /// Whose stock it is.
    pub organization: OrganizationId,
    /// The secrets that it may sign with; several while one is being replaced.
    pub secrets: Vec<Secret>,
}

impl Connection {
    pub(crate) fn is(&self, channel: &str, store: &str) -> bool {
        self.channel == channel && self.store.as_str() == store
    }
}

/// The stores that the environment names: marketplace A's default store, whose secret is `MARKETPLACE_A_SECRET` (several
/// separated by commas while one is being replaced), for the organization `DEFAULT_ORGANIZATION` (`demo` unless set).
///
/// # Errors
/// [`ConfigError`] when the secret is missing or a name is none.
pub fn connections(environment: &Environment) -> Result<Vec<Connection>, ConfigError> {
    let name = "MARKETPLACE_A_SECRET";
    let secrets = environment.required(name)?.split(',').map(|secret| Secret::new(secret.trim()));
    let secrets = secrets
        .collect::<Result<_, _>>()
        .map_err(|_| ConfigError::Invalid { name, expected: "secrets separated by commas, none empty" })?;
    let organization = environment.default_organization()?;
    let store = StoreId::parse(DEFAULT_STORE).map_err(|_| ConfigError::Missing(DEFAULT_STORE))?;
    Ok(vec![Connection { channel: "marketplace-a", store, organization, secrets }])
}
