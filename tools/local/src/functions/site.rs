//! What stands in for AWS, as every function is given it.

use std::sync::Arc;

use evenstock_app::{Clock, KeyAdminStore, KeyRecord, NewKey, Scope};
use evenstock_domain::{EventIdKey, Guard, OrganizationId};
use evenstock_runtime::http::{AccessControl, CursorKey, RateLimits};
use evenstock_runtime::{ConfigError, Environment, SystemClock};
use evenstock_store::{AwsSettings, DynamoStore, KeyringSealer, dynamodb_client};

use super::{Queues, WiringError};

/// The key that every laptop accepts: all scopes, any organization.
const DEMO_KEY: &str = "demo";

/// The table, the queues and the settings of this process.
pub(super) struct Site<'a> {
    pub(super) environment: &'a Environment,
    pub(super) store: Arc<DynamoStore>,
    pub(super) queues: Queues,
    pub(super) access: AccessControl,
    pub(super) ids: EventIdKey,
}

impl<'a> Site<'a> {
    /// Opens the table at `endpoint`, with the key `demo` in it.
    pub(super) async fn open(
        environment: &'a Environment,
        endpoint: &str,
        table: &str,
        queues: Queues,
    ) -> Result<Self, WiringError> {
        let client = dynamodb_client(&AwsSettings {
            region: "local".to_owned(),
            endpoint_url: Some(endpoint.to_owned()),
            access_key_id: "local".to_owned(),
            secret_access_key: "local".to_owned(),
            session_token: None,
        });
        let store = Arc::new(DynamoStore::new(client, table, environment.history_days()?));
        store.insert_key(&demo_key()?).await?;
        // One process stands in for all functions, and so do its counters.
        evenstock_runtime::metrics::send_to(Arc::clone(&store), "local", false);
        let access = AccessControl::new(Arc::clone(&store), RateLimits::from_environment(environment)?);
        Ok(Self { environment, store, queues, access, ids: environment.event_id_key()? })
    }

    /// The table, for functions that own their store.
    pub(super) fn table(&self) -> DynamoStore {
        self.store.as_ref().clone()
    }

    pub(super) fn cursors(&self) -> Result<CursorKey, ConfigError> {
        Ok(CursorKey::new(self.environment.required("EVENT_ID_KEY")?))
    }

    pub(super) fn sealer(&self) -> Result<KeyringSealer, ConfigError> {
        self.environment.keyring_sealer()
    }

    /// Which addresses of others may be called.
    pub(super) fn guard(&self) -> Result<Guard, ConfigError> {
        Ok(Guard { allow_private: self.environment.parsed("ALLOW_PRIVATE_CALLBACKS", "true or false", false)? })
    }
}

fn demo_key() -> Result<KeyRecord, WiringError> {
    let new = NewKey {
        organization: OrganizationId::parse(DEMO_KEY).map_err(|_| WiringError::Organization)?,
        name: DEMO_KEY.to_owned(),
        scopes: vec![Scope::Read, Scope::Write, Scope::Admin],
        operator: true,
        expires_at: None,
    };
    Ok(new.into_record(DEMO_KEY, SystemClock.now()))
}
