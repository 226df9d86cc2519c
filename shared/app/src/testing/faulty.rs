//! A store that fails on purpose, in every way that a real one does, and yields around every call so that a scheduler
//! can put other work in between.

use core::future::poll_fn;
use core::task::Poll;
use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use evenstock_domain::{
    BlindRequest, ChangePage, FeedMarker, FeedTail, LevelKey, LocationId, OrganizationId, Page, Reservation,
    ReservationId, Sku, StockLevel, Timestamp,
};

use crate::{
    Appended, BulkSync, BulkSyncStore, Commit, DuePage, DueReservation, FeedStore, IdempotencyStore, ListPage,
    ListPosition, OperationClaim, OperationRecord, ReservationStore, ReservationWrite, StockStore, StoreError, Stored,
    StoredReservation,
};

/// What happens to one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It works.
    None,
    /// It is not done, and says so.
    NotDone,
    /// It is not done, and the caller cannot know.
    UnknownNotDone,
    /// It is done, and the caller cannot know.
    UnknownDone,
    /// What stands there cannot be read.
    Corrupt,
}

/// Wraps a store; `plan` names each call's fate.
pub struct FaultyStore<S> {
    pub(super) inner: S,
    plan: Mutex<Box<dyn FnMut(&'static str) -> Fault + Send>>,
}

impl<S> core::fmt::Debug for FaultyStore<S> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("FaultyStore").finish_non_exhaustive()
    }
}

impl<S: Sync> FaultyStore<S> {
    /// Wraps `inner`. The plan is asked once a call, with the operation's name.
    pub fn new(inner: S, plan: impl FnMut(&'static str) -> Fault + Send + 'static) -> Self {
        Self { inner, plan: Mutex::new(Box::new(plan)) }
    }

    /// The store behind the faults.
    pub const fn inner(&self) -> &S {
        &self.inner
    }

    /// The store, without its faults.
    pub fn into_inner(self) -> S {
        self.inner
    }

    pub(super) async fn call<T>(
        &self,
        operation: &'static str,
        work: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        yield_now().await;
        let fault = (self.plan.lock().unwrap_or_else(PoisonError::into_inner))(operation);
        let cause = || format!("injected into {operation}").into();
        let result = match fault {
            Fault::None => work.await,
            Fault::NotDone => Err(StoreError::Unavailable(cause())),
            Fault::UnknownNotDone => Err(StoreError::Unknown(cause())),
            Fault::Corrupt => Err(StoreError::Corrupt { key: operation.to_owned(), reason: "injected".to_owned() }),
            Fault::UnknownDone => work.await.and_then(|_| Err(StoreError::Unknown(cause()))),
        };
        yield_now().await;
        result
    }
}

/// Gives others a turn, under any executor.
async fn yield_now() {
    let mut yielded = false;
    poll_fn(|context| {
        if core::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

impl<S: StockStore> StockStore for FaultyStore<S> {
    async fn load(&self, key: &LevelKey) -> Result<Option<Stored>, StoreError> {
        self.call("load", self.inner.load(key)).await
    }

    async fn commit(&self, key: &LevelKey, expected: Option<u64>, level: &StockLevel) -> Result<Commit, StoreError> {
        self.call("commit", self.inner.commit(key, expected, level)).await
    }

    async fn append(&self, key: &LevelKey, request: &BlindRequest) -> Result<Appended, StoreError> {
        self.call("append", self.inner.append(key, request)).await
    }

    async fn put_page(&self, key: &LevelKey, page: &Page) -> Result<(), StoreError> {
        self.call("put_page", self.inner.put_page(key, page)).await
    }

    async fn drop_page(&self, key: &LevelKey, seen: &StockLevel) -> Result<bool, StoreError> {
        self.call("drop_page", self.inner.drop_page(key, seen)).await
    }

    async fn pages_since(&self, key: &LevelKey, start: Timestamp) -> Result<Vec<Page>, StoreError> {
        self.call("pages_since", self.inner.pages_since(key, start)).await
    }

    async fn pages_before(
        &self,
        key: &LevelKey,
        version: u64,
        until: Timestamp,
        limit: usize,
    ) -> Result<Vec<Page>, StoreError> {
        self.call("pages_before", self.inner.pages_before(key, version, until, limit)).await
    }

    async fn levels_of(
        &self,
        organization: &OrganizationId,
        sku: &Sku,
    ) -> Result<Vec<(LocationId, StockLevel)>, StoreError> {
        self.call("levels_of", self.inner.levels_of(organization, sku)).await
    }

    async fn list(
        &self,
        organization: &OrganizationId,
        after: Option<&ListPosition>,
        limit: u32,
    ) -> Result<ListPage, StoreError> {
        self.call("list", self.inner.list(organization, after, limit)).await
    }
}

impl<S: ReservationStore> ReservationStore for FaultyStore<S> {
    async fn load_reservation(
        &self,
        organization: &OrganizationId,
        id: &ReservationId,
    ) -> Result<Option<StoredReservation>, StoreError> {
        self.call("load_reservation", self.inner.load_reservation(organization, id)).await
    }

    async fn save_reservation(
        &self,
        expected: Option<u64>,
        reservation: &Reservation,
    ) -> Result<ReservationWrite, StoreError> {
        self.call("save_reservation", self.inner.save_reservation(expected, reservation)).await
    }

    async fn due_reservations(
        &self,
        bucket: u8,
        now: Timestamp,
        limit: u32,
        after: Option<&DueReservation>,
    ) -> Result<DuePage, StoreError> {
        self.call("due_reservations", self.inner.due_reservations(bucket, now, limit, after)).await
    }
}

impl<S: IdempotencyStore> IdempotencyStore for FaultyStore<S> {
    async fn claim(&self, record: &OperationRecord) -> Result<OperationClaim, StoreError> {
        self.call("claim", self.inner.claim(record)).await
    }

    async fn keep_answer(
        &self,
        organization: &OrganizationId,
        key: &str,
        time: Timestamp,
        answer: &str,
    ) -> Result<Option<String>, StoreError> {
        self.call("keep_answer", self.inner.keep_answer(organization, key, time, answer)).await
    }
}

impl<S: BulkSyncStore> BulkSyncStore for FaultyStore<S> {
    async fn begin_sync(&self, sync: &BulkSync) -> Result<BulkSync, StoreError> {
        self.call("begin_sync", self.inner.begin_sync(sync)).await
    }

    async fn add_part(&self, sync: &BulkSync, part: &str, products: &[Sku]) -> Result<(), StoreError> {
        self.call("add_part", self.inner.add_part(sync, part, products)).await
    }

    async fn named(&self, sync: &BulkSync, parts_max: usize) -> Result<Option<BTreeSet<Sku>>, StoreError> {
        self.call("named", self.inner.named(sync, parts_max)).await
    }
}

impl<S: FeedStore> FeedStore for FaultyStore<S> {
    async fn feed_tail(&self, organization: &OrganizationId, limit: u32) -> Result<FeedTail, StoreError> {
        self.call("feed_tail", self.inner.feed_tail(organization, limit)).await
    }

    async fn feed_back(
        &self,
        organization: &OrganizationId,
        seq: u64,
        limit: u32,
    ) -> Result<Vec<ChangePage>, StoreError> {
        self.call("feed_back", self.inner.feed_back(organization, seq, limit)).await
    }

    async fn feed_forward(
        &self,
        organization: &OrganizationId,
        seq: u64,
        limit: u32,
    ) -> Result<Vec<ChangePage>, StoreError> {
        self.call("feed_forward", self.inner.feed_forward(organization, seq, limit)).await
    }

    async fn put_change_page(&self, organization: &OrganizationId, page: &ChangePage) -> Result<bool, StoreError> {
        self.call("put_change_page", self.inner.put_change_page(organization, page)).await
    }

    async fn mark_feed(
        &self,
        organization: &OrganizationId,
        expected: Option<&FeedMarker>,
        marker: &FeedMarker,
    ) -> Result<bool, StoreError> {
        self.call("mark_feed", self.inner.mark_feed(organization, expected, marker)).await
    }
}
