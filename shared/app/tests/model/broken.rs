//! A store in which one law can be taken out.

use std::sync::atomic::{AtomicU64, Ordering};

use evenstock_app::testing::MemoryStore;
use evenstock_app::{
    Appended, Commit, IdempotencyStore, ListPage, ListPosition, OperationClaim, OperationRecord, StockStore,
    StoreError, Stored,
};
use evenstock_domain::{
    BlindRequest, LevelKey, LocationId, OrganizationId, Page, SEARCH_MARGIN_MS, Sku, StockLevel, Timestamp,
};

/// A law of the stock level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Law {
    /// An event's time is a function of the event, never of its delivery. Taken out by the world, not by the store.
    OwnTime,
    /// A search starts ten minutes before the event's time and includes the page before.
    SearchMargin,
    /// Only committed entries are ever put into a page.
    CommittedPages,
    /// `observed` never falls.
    Watermark,
    /// A level is written only if nobody wrote it since it was read.
    OptimisticLock,
    /// A blind write passes only where its repetition would be found.
    BlindSearch,
    /// `spilled_through` is the greatest time that left the level.
    SpilledThrough,
}

/// The store in memory, with or without all its laws.
#[derive(Debug)]
pub(crate) struct BrokenStore {
    pub(crate) inner: MemoryStore,
    pub(crate) without: Option<Law>,
    pub(crate) overwrites: AtomicU64,
}

impl BrokenStore {
    pub(crate) fn new(without: Option<Law>) -> Self {
        Self { inner: MemoryStore::default(), without, overwrites: AtomicU64::new(0) }
    }

    fn lacks(&self, law: Law) -> bool {
        self.without == Some(law)
    }
}

impl StockStore for BrokenStore {
    async fn load(&self, key: &LevelKey) -> Result<Option<Stored>, StoreError> {
        self.inner.load(key).await
    }

    async fn commit(&self, key: &LevelKey, expected: Option<u64>, level: &StockLevel) -> Result<Commit, StoreError> {
        let mut level = level.clone();
        if self.lacks(Law::Watermark) {
            level.observed = None;
        }
        if self.lacks(Law::SpilledThrough) {
            level.spilled_through = Timestamp::EPOCH;
        }
        if self.lacks(Law::CommittedPages)
            && let Some(page) = level.full_page()
        {
            self.inner.put_page(key, &page).await?;
        }
        match self.inner.commit(key, expected, &level).await? {
            Commit::Conflict(Some(current)) if self.lacks(Law::OptimisticLock) => {
                self.overwrites.fetch_add(1, Ordering::Relaxed);
                self.inner.commit(key, Some(current.rev), &level).await
            }
            outcome => Ok(outcome),
        }
    }

    async fn append(&self, key: &LevelKey, request: &BlindRequest) -> Result<Appended, StoreError> {
        let mut request = request.clone();
        if self.lacks(Law::BlindSearch) {
            request.absent_through = Some(u64::MAX);
        }
        self.inner.append(key, &request).await
    }

    async fn put_page(&self, key: &LevelKey, page: &Page) -> Result<(), StoreError> {
        self.inner.put_page(key, page).await
    }

    async fn drop_page(&self, key: &LevelKey, seen: &StockLevel) -> Result<bool, StoreError> {
        self.inner.drop_page(key, seen).await
    }

    async fn pages_since(&self, key: &LevelKey, start: Timestamp) -> Result<Vec<Page>, StoreError> {
        let pages = self.inner.pages_since(key, start).await?;
        if self.lacks(Law::SearchMargin) {
            let time = start.plus_millis(SEARCH_MARGIN_MS);
            return Ok(pages.into_iter().filter(|page| page.committed_at() >= time).collect());
        }
        Ok(pages)
    }

    async fn pages_before(
        &self,
        key: &LevelKey,
        version: u64,
        until: Timestamp,
        limit: usize,
    ) -> Result<Vec<Page>, StoreError> {
        self.inner.pages_before(key, version, until, limit).await
    }

    async fn levels_of(
        &self,
        organization: &OrganizationId,
        sku: &Sku,
    ) -> Result<Vec<(LocationId, StockLevel)>, StoreError> {
        self.inner.levels_of(organization, sku).await
    }

    async fn list(
        &self,
        organization: &OrganizationId,
        after: Option<&ListPosition>,
        limit: u32,
    ) -> Result<ListPage, StoreError> {
        self.inner.list(organization, after, limit).await
    }
}

impl IdempotencyStore for BrokenStore {
    async fn claim(&self, record: &OperationRecord) -> Result<OperationClaim, StoreError> {
        self.inner.claim(record).await
    }

    async fn keep_answer(
        &self,
        organization: &OrganizationId,
        key: &str,
        time: Timestamp,
        answer: &str,
    ) -> Result<Option<String>, StoreError> {
        self.inner.keep_answer(organization, key, time, answer).await
    }
}
