//! What stands in for AWS, as every function is given it.

use std::path::Path;
use std::sync::Arc;

use aws_sdk_dynamodb::Client;
use evenstock_app::{Clock, KeyAdminStore, KeyRecord, NewKey, Scope};
use evenstock_domain::{EventIdKey, Guard, OrganizationId};
use evenstock_runtime::http::{AccessControl, CursorKey, RateLimits};
use evenstock_runtime::{ConfigError, Environment, SystemClock};
use evenstock_store::{AwsSettings, DynamoStore, KeyringSealer, dynamodb_client};

use super::{Queues, WiringError};
use crate::rights::{OwnQueues, Record, Rights, guarded};
use crate::template::Template;

/// The key that every laptop accepts: all scopes, any organization.
const DEMO_KEY: &str = "demo";

/// The table, the queues and the settings of this process.
pub(super) struct Site<'a> {
    pub(super) environment: &'a Environment,
    pub(super) store: Arc<DynamoStore>,
    pub(super) queues: OwnQueues,
    pub(super) access: AccessControl,
    pub(super) ids: EventIdKey,
    /// What the function may do for which this site is; `None` for this machine itself, which may do everything.
    pub(super) rights: Option<Arc<Rights>>,
    ground: Arc<Ground<'a>>,
}

/// What all sites are made of.
struct Ground<'a> {
    client: Client,
    template: &'a Template,
    queues: Queues,
    record: Option<Arc<Record>>,
}

impl<'a> Site<'a> {
    /// Opens the table at `endpoint`, with the key `demo` in it.
    pub(super) async fn open(
        environment: &'a Environment,
        endpoint: &str,
        template: &'a Template,
        queues: Queues,
    ) -> Result<Self, WiringError> {
        let client = dynamodb_client(&AwsSettings {
            region: "local".to_owned(),
            endpoint_url: Some(endpoint.to_owned()),
            access_key_id: "local".to_owned(),
            secret_access_key: "local".to_owned(),
            session_token: None,
        });
        let store = Arc::new(DynamoStore::new(client.clone(), &template.table.name, environment.history_days()?));
        store.insert_key(&demo_key()?).await?;
        // One process stands in for all functions, and so do its counters.
        evenstock_runtime::metrics::send_to(Arc::clone(&store), "local", false);
        let access = AccessControl::new(Arc::clone(&store), RateLimits::from_environment(environment)?);
        let record = environment.optional("RECORD_CALLS").map(|folder| Record::open(Path::new(folder))).transpose();
        let record = record.map_err(WiringError::Record)?.map(Arc::new);
        let ground = Arc::new(Ground { client, template, queues: queues.clone(), record });
        let queues = OwnQueues::new(queues.clone(), None);
        Ok(Self { environment, store, queues, access, ids: environment.event_id_key()?, rights: None, ground })
    }

    /// The same for one function, which may do here what its role allows and nothing else.
    pub(super) fn of(&self, function: &'static str) -> Result<Self, WiringError> {
        let ground = &self.ground;
        let allowed = ground.template.rights.get(function).cloned().ok_or(WiringError::NoRole(function))?;
        let rights = Arc::new(Rights::new(function, allowed, ground.record.clone()));
        let client = guarded(&ground.client, &rights);
        let store = DynamoStore::new(client, &ground.template.table.name, self.environment.history_days()?);
        let store = Arc::new(store);
        let access = AccessControl::new(Arc::clone(&store), RateLimits::from_environment(self.environment)?);
        let queues = OwnQueues::new(ground.queues.clone(), Some(Arc::clone(&rights)));
        let (environment, ids, ground) = (self.environment, self.ids.clone(), Arc::clone(ground));
        Ok(Self { environment, store, queues, access, ids, rights: Some(rights), ground })
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
