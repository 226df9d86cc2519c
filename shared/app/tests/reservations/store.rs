//! The store in memory, with a stream of what happens to its reservations, and with laws that can be taken out.

use std::sync::Mutex;

use evenstock_app::testing::MemoryStore;
use evenstock_app::{
    Appended, Commit, DuePage, DueReservation, IdempotencyStore, ListPage, ListPosition, OperationClaim,
    OperationRecord, ReservationStore, ReservationWrite, StockStore, StoreError, Stored, StoredReservation,
};
use evenstock_domain::{
    BlindRequest, EntryKind, LevelKey, LocationId, OrganizationId, Page, Reservation, ReservationId, Sku, StockLevel,
    Timestamp,
};

/// A law of reservations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Law {
    /// An undo that meets no reserve stands in its place.
    Void,
    /// A reservation is written only if nobody wrote it since it was read.
    OneEnd,
    /// What the stream tells of is completed. Taken out by the world, not by the store.
    Stream,
}

#[derive(Debug)]
pub(crate) struct Streaming {
    pub(crate) inner: MemoryStore,
    without: Option<Law>,
    /// Every state of every reservation that nobody followed yet.
    pub(crate) stream: Mutex<Vec<Reservation>>,
}

impl Streaming {
    pub(crate) fn new(without: Option<Law>) -> Self {
        Self { inner: MemoryStore::default(), without, stream: Mutex::default() }
    }
}

impl ReservationStore for Streaming {
    async fn load_reservation(
        &self,
        organization: &OrganizationId,
        id: &ReservationId,
    ) -> Result<Option<StoredReservation>, StoreError> {
        self.inner.load_reservation(organization, id).await
    }

    async fn save_reservation(
        &self,
        expected: Option<u64>,
        reservation: &Reservation,
    ) -> Result<ReservationWrite, StoreError> {
        let mut written = self.inner.save_reservation(expected, reservation).await?;
        if let (Some(Law::OneEnd), ReservationWrite::Conflict(Some(current))) = (self.without, &written) {
            written = self.inner.save_reservation(Some(current.rev), reservation).await?;
        }
        if written == ReservationWrite::Saved {
            self.stream.lock().unwrap().push(reservation.clone());
        }
        Ok(written)
    }

    async fn due_reservations(
        &self,
        bucket: u8,
        now: Timestamp,
        limit: u32,
        after: Option<&DueReservation>,
    ) -> Result<DuePage, StoreError> {
        self.inner.due_reservations(bucket, now, limit, after).await
    }
}

impl IdempotencyStore for Streaming {
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

impl StockStore for Streaming {
    async fn load(&self, key: &LevelKey) -> Result<Option<Stored>, StoreError> {
        self.inner.load(key).await
    }

    async fn commit(&self, key: &LevelKey, expected: Option<u64>, level: &StockLevel) -> Result<Commit, StoreError> {
        let voids = level.recent.iter().any(|entry| entry.kind == EntryKind::Void);
        if self.without == Some(Law::Void) && voids {
            return Ok(Commit::Committed);
        }
        self.inner.commit(key, expected, level).await
    }

    async fn append(&self, key: &LevelKey, request: &BlindRequest) -> Result<Appended, StoreError> {
        self.inner.append(key, request).await
    }

    async fn put_page(&self, key: &LevelKey, page: &Page) -> Result<(), StoreError> {
        self.inner.put_page(key, page).await
    }

    async fn drop_page(&self, key: &LevelKey, seen: &StockLevel) -> Result<bool, StoreError> {
        self.inner.drop_page(key, seen).await
    }

    async fn pages_since(&self, key: &LevelKey, start: Timestamp) -> Result<Vec<Page>, StoreError> {
        self.inner.pages_since(key, start).await
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
