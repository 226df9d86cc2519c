//! A store that counts its calls in DynamoDB's units.
//!
//! The model: a level and a page each fit into one write unit, which a test of the store holds. A write whose condition
//! fails costs what one that succeeds does. A consistent read of a level is one read unit.

use std::sync::atomic::{AtomicU64, Ordering};

use evenstock_app::{Appended, Commit, ListPage, ListPosition, StockStore, StoreError, Stored};
use evenstock_domain::{BlindRequest, LevelKey, LocationId, OrganizationId, Page, Sku, StockLevel, Timestamp};

/// Counts around a store.
#[derive(Debug)]
pub(crate) struct Counted<S> {
    inner: S,
    writes: AtomicU64,
    reads: AtomicU64,
}

impl<S> Counted<S> {
    pub(crate) const fn new(inner: S) -> Self {
        Self { inner, writes: AtomicU64::new(0), reads: AtomicU64::new(0) }
    }

    /// Write units and read units since the last call.
    pub(crate) fn take(&self) -> (u64, u64) {
        (self.writes.swap(0, Ordering::Relaxed), self.reads.swap(0, Ordering::Relaxed))
    }

    fn write(&self) -> &S {
        self.writes.fetch_add(1, Ordering::Relaxed);
        &self.inner
    }

    fn read(&self) -> &S {
        self.reads.fetch_add(1, Ordering::Relaxed);
        &self.inner
    }
}

impl<S: StockStore> StockStore for Counted<S> {
    async fn load(&self, key: &LevelKey) -> Result<Option<Stored>, StoreError> {
        self.read().load(key).await
    }

    async fn commit(&self, key: &LevelKey, expected: Option<u64>, level: &StockLevel) -> Result<Commit, StoreError> {
        self.write().commit(key, expected, level).await
    }

    async fn append(&self, key: &LevelKey, request: &BlindRequest) -> Result<Appended, StoreError> {
        self.write().append(key, request).await
    }

    async fn put_page(&self, key: &LevelKey, page: &Page) -> Result<(), StoreError> {
        self.write().put_page(key, page).await
    }

    async fn drop_page(&self, key: &LevelKey, seen: &StockLevel) -> Result<bool, StoreError> {
        self.write().drop_page(key, seen).await
    }

    async fn pages_since(&self, key: &LevelKey, start: Timestamp) -> Result<Vec<Page>, StoreError> {
        self.read().pages_since(key, start).await
    }

    async fn pages_before(
        &self,
        key: &LevelKey,
        version: u64,
        until: Timestamp,
        limit: usize,
    ) -> Result<Vec<Page>, StoreError> {
        self.read().pages_before(key, version, until, limit).await
    }

    async fn levels_of(
        &self,
        organization: &OrganizationId,
        sku: &Sku,
    ) -> Result<Vec<(LocationId, StockLevel)>, StoreError> {
        self.read().levels_of(organization, sku).await
    }

    async fn list(
        &self,
        organization: &OrganizationId,
        after: Option<&ListPosition>,
        limit: u32,
    ) -> Result<ListPage, StoreError> {
        self.read().list(organization, after, limit).await
    }
}
