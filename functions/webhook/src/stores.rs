//! Finding the store that a delivery came for: the ones that the environment names without a look at the table, the
//! registered ones through a cache.

use std::sync::Arc;

use evenstock_app::{Clock, MarketplaceStores, Sealer};
use evenstock_domain::StoreId;
use evenstock_runtime::http::ApiError;

use crate::Connection;
use crate::cache::{Cache, Known};
use crate::connection::UnusableSecret;

/// How long a store is believed to be as it was read, in milliseconds.
pub(crate) const FRESH_MS: i64 = 60_000;

/// How long it is when a signature does not fit, in milliseconds: the secret may have been registered a moment ago. Bounds
/// the reads that wrong signatures cost.
pub(crate) const RECHECK_MS: i64 = 1000;

/// The stores that deliver here.
#[derive(Debug)]
pub struct Stores<S, K, C> {
    configured: Vec<Arc<Connection>>,
    /// Registered stores and their receipts.
    pub table: Arc<S>,
    /// Opens their secrets.
    pub sealer: K,
    /// Time.
    pub clock: C,
    cache: Cache,
}

impl<S, K, C> Stores<S, K, C> {
    /// Those that the environment names, and those that are registered in the table.
    pub fn new(configured: Vec<Connection>, table: Arc<S>, sealer: K, clock: C) -> Self {
        let configured = configured.into_iter().map(Arc::new).collect();
        Self { configured, table, sealer, clock, cache: Cache::default() }
    }
}

impl<S: MarketplaceStores, K: Sealer, C: Clock> Stores<S, K, C> {
    /// The store of this channel with this id, as it was less than `age_max_ms` ago. `None` when there is none that signs
    /// its deliveries.
    pub(crate) async fn find(
        &self,
        channel: &str,
        store: &str,
        age_max_ms: i64,
    ) -> Result<Option<Arc<Connection>>, ApiError> {
        if let Some(connection) = self.configured.iter().find(|connection| connection.is(channel, store)) {
            return Ok(Some(Arc::clone(connection)));
        }
        let Ok(id) = StoreId::parse(store) else {
            return Ok(None);
        };
        let found = match self.cache.look(&id, self.clock.now(), age_max_ms) {
            Known::Found(connection) => Some(connection),
            Known::Nobody => None,
            Known::Crowded => return Err(ApiError::rate_limited(1)),
            Known::Unknown => self.read(&id).await?,
        };
        Ok(found.filter(|connection| connection.is(channel, store)))
    }

    async fn read(&self, id: &StoreId) -> Result<Option<Arc<Connection>>, ApiError> {
        let now = self.clock.now();
        let read = match self.table.load_store(id).await? {
            Some(stored) => Connection::of(&stored.store, &self.sealer).await.map_err(unusable)?.map(Arc::new),
            None => None,
        };
        self.cache.keep(id, now, read.as_ref());
        Ok(read)
    }
}

fn unusable(error: UnusableSecret) -> ApiError {
    match error {
        UnusableSecret::Sealed(error) => error.into(),
        UnusableSecret::Invalid(_) => ApiError::internal(error),
    }
}
