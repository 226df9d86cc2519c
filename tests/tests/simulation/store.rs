//! The table: the store in memory, whose calls fail in every way that a real one's do, whose indexes lag, and whose
//! writes of followed items go to the stream. Knows what must hold with every single write.

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex};

use evenstock_app::testing::MemoryStore;
use evenstock_app::{
    Appended, Commit, DuePage, DueReservation, FeedStore, IdempotencyStore, ListPage, ListPosition, MarketplaceStore,
    MarketplaceStores, OperationClaim, OperationRecord, ReceiptStore, ReceiptWrite, ReservationStore, ReservationWrite,
    StockStore, StoreError, StoreWrite, Stored, StoredReceipt, StoredReservation, StoredStore,
};
use evenstock_domain::{
    BlindRequest, ChangePage, EntryKind, EventId, FeedMarker, FeedTail, LevelKey, LocationId, OrganizationId, Page,
    Past, Receipt, ReceiptId, Reservation, ReservationId, Sku, StockLevel, StoreId, Timestamp, Watermark,
};
use evenstock_store::testing::Followed;

use crate::laws::Law;
use crate::nature::{Fate, Nature, turn};
use crate::stream::Stream;

/// How often an index answers what it answered before, in percent.
const LAGS: u64 = 20;

/// How far an index may lag, in milliseconds.
const LAG_MS: i64 = 10_000;

/// When an index answered, and what.
type Answered = (i64, Box<dyn Any + Send>);

#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) memory: MemoryStore,
    pub(crate) nature: Arc<Nature>,
    pub(crate) stream: Stream,
    /// When each level's newest observation came: at which version.
    observed: Mutex<BTreeMap<LevelKey, (Watermark, u64)>>,
    /// Receipts as they were written, in order.
    pub(crate) receipts: Mutex<Vec<(Option<Receipt>, Receipt)>>,
    /// What indexes answered.
    answered: Mutex<BTreeMap<String, Answered>>,
}

/// The store as every process holds it.
#[derive(Debug, Clone)]
pub(crate) struct SimStore(pub(crate) Arc<Table>);

impl SimStore {
    pub(crate) fn new(nature: &Arc<Nature>) -> Self {
        Self(Arc::new(Table {
            memory: MemoryStore::default(),
            nature: Arc::clone(nature),
            stream: Stream::default(),
            observed: Mutex::default(),
            receipts: Mutex::default(),
            answered: Mutex::default(),
        }))
    }

    /// One call: others have their turn before and after it, and it may fail.
    pub(crate) async fn call<T>(
        &self,
        name: &'static str,
        work: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        turn().await;
        let cause = || format!("the simulation strikes {name}").into();
        let result = match self.0.nature.fate(name) {
            Fate::Done => work.await,
            Fate::NotDone => Err(StoreError::Unavailable(cause())),
            Fate::UnknownNotDone => Err(StoreError::Unknown(cause())),
            Fate::UnknownDone => work.await.and_then(|_| Err(StoreError::Unknown(cause()))),
        };
        turn().await;
        result
    }

    /// One look at an index, which may answer what it answered before.
    pub(crate) async fn look<T: Clone + Send + 'static>(
        &self,
        name: &'static str,
        asked: impl Debug + Send,
        work: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        let question = format!("{name} {asked:?}");
        let fresh = self.call(name, work).await?;
        let mut answered = self.0.answered.lock().unwrap();
        let now = self.0.nature.now();
        let before = answered.get(&question).filter(|(at, _)| now - at < LAG_MS);
        let before = before.and_then(|(_, answer)| answer.downcast_ref::<T>()).cloned();
        match before.filter(|_| self.0.nature.strikes(LAGS)) {
            Some(before) => {
                self.0.nature.tell(|| format!("{name} lags"));
                Ok(before)
            }
            None => {
                answered.insert(question, (now, Box::new(fresh.clone())));
                Ok(fresh)
            }
        }
    }

    pub(crate) fn memory(&self) -> &MemoryStore {
        &self.0.memory
    }

    /// The level's newest observation, and the level's version when it came.
    pub(crate) fn observed(&self, key: &LevelKey) -> Option<(Watermark, u64)> {
        self.0.observed.lock().unwrap().get(key).cloned()
    }
}

impl Table {
    /// What every write of a level must keep; then the stream has it.
    async fn wrote_level(&self, key: &LevelKey, before: Option<Stored>) -> Result<(), StoreError> {
        let Some(after) = self.memory.load(key).await? else { return Ok(()) };
        let known = before.as_ref().map_or(0, |before| before.level.version);
        let level = &after.level;
        for placed in level.journal(&Past::none()).take_while(|placed| placed.version > known) {
            let takes = placed.entry.kind == EntryKind::Request && placed.entry.available < 0;
            if takes && placed.available_after < 0 {
                self.nature.broken(format!("a request took {} below 0 with version {}", name(key), placed.version));
            }
        }
        if level.reserved < 0 {
            self.nature.broken(format!("{} has {} reserved", name(key), level.reserved));
        }
        if let Some(mark) = &level.observed {
            let mut observed = self.observed.lock().unwrap();
            if observed.get(key).is_none_or(|(known, _)| known != mark) {
                observed.insert(key.clone(), (mark.clone(), level.version));
            }
        }
        self.nature.tell(|| {
            let StockLevel { available, reserved, version, .. } = level;
            format!("{} is {available} + {reserved} at version {version}", name(key))
        });
        let followed = |stored: Stored| Followed::Level(key.clone(), stored);
        self.stream.emit(&self.nature, &name(key), before.map(followed), followed(after));
        Ok(())
    }
}

fn name(key: &LevelKey) -> String {
    format!("{}@{}", key.sku, key.location)
}

impl StockStore for SimStore {
    async fn load(&self, key: &LevelKey) -> Result<Option<Stored>, StoreError> {
        self.call("load", self.0.memory.load(key)).await
    }

    async fn commit(&self, key: &LevelKey, expected: Option<u64>, level: &StockLevel) -> Result<Commit, StoreError> {
        let table = &self.0;
        self.call("commit", async {
            let before = table.memory.load(key).await?;
            let mut level = level.clone();
            if table.nature.lacks(Law::Watermark) {
                level.observed = None;
            }
            let current = before.as_ref().map(|stored| stored.rev);
            let expected = if table.nature.lacks(Law::OptimisticLock) { current } else { expected };
            let done = table.memory.commit(key, expected, &level).await?;
            if done == Commit::Committed {
                table.wrote_level(key, before).await?;
            }
            Ok(done)
        })
        .await
    }

    async fn append(&self, key: &LevelKey, request: &BlindRequest) -> Result<Appended, StoreError> {
        let table = &self.0;
        let append = async |request: &BlindRequest| {
            let before = table.memory.load(key).await?;
            let mut done = table.memory.append(key, request).await?;
            if let (Appended::Refused(Some(stored)), true) = (&done, table.nature.lacks(Law::Floor)) {
                let mut level = stored.level.clone();
                let short = request.units_needed().is_some_and(|units| level.headroom() < units);
                if short && level.has_room() && !level.recent.iter().any(|entry| entry.id == request.entry.id) {
                    request.apply(&mut level);
                    table.memory.commit(key, Some(stored.rev), &level).await?;
                    done = Appended::Applied(Stored { rev: stored.rev + 1, level });
                }
            }
            if matches!(done, Appended::Applied(_)) {
                table.wrote_level(key, before).await?;
            }
            Ok(done)
        };
        let done = self.call("append", append(request)).await;
        if let (Err(StoreError::Unknown(_)), true) = (&done, table.nature.lacks(Law::SameWriteAgain)) {
            let mut another = request.clone();
            another.entry.id = EventId(another.entry.id.0.map(|byte| byte.wrapping_add(1)));
            return append(&another).await;
        }
        done
    }

    async fn put_page(&self, key: &LevelKey, page: &Page) -> Result<(), StoreError> {
        self.call("put_page", self.0.memory.put_page(key, page)).await
    }

    async fn drop_page(&self, key: &LevelKey, seen: &StockLevel) -> Result<bool, StoreError> {
        let table = &self.0;
        self.call("drop_page", async {
            let before = table.memory.load(key).await?;
            let dropped = table.memory.drop_page(key, seen).await?;
            if dropped {
                table.wrote_level(key, before).await?;
            }
            Ok(dropped)
        })
        .await
    }

    async fn pages_since(&self, key: &LevelKey, start: Timestamp) -> Result<Vec<Page>, StoreError> {
        self.call("pages_since", self.0.memory.pages_since(key, start)).await
    }

    async fn pages_before(
        &self,
        key: &LevelKey,
        version: u64,
        until: Timestamp,
        limit: usize,
    ) -> Result<Vec<Page>, StoreError> {
        self.call("pages_before", self.0.memory.pages_before(key, version, until, limit)).await
    }

    async fn levels_of(
        &self,
        organization: &OrganizationId,
        sku: &Sku,
    ) -> Result<Vec<(LocationId, StockLevel)>, StoreError> {
        self.call("levels_of", self.0.memory.levels_of(organization, sku)).await
    }

    async fn list(
        &self,
        organization: &OrganizationId,
        after: Option<&ListPosition>,
        limit: u32,
    ) -> Result<ListPage, StoreError> {
        self.look("list", (after, limit), self.0.memory.list(organization, after, limit)).await
    }
}

impl ReservationStore for SimStore {
    async fn load_reservation(
        &self,
        organization: &OrganizationId,
        id: &ReservationId,
    ) -> Result<Option<StoredReservation>, StoreError> {
        self.call("load_reservation", self.0.memory.load_reservation(organization, id)).await
    }

    async fn save_reservation(
        &self,
        expected: Option<u64>,
        reservation: &Reservation,
    ) -> Result<ReservationWrite, StoreError> {
        let table = &self.0;
        self.call("save_reservation", async {
            let (organization, id) = (&reservation.organization, &reservation.id);
            let before = table.memory.load_reservation(organization, id).await?;
            let done = table.memory.save_reservation(expected, reservation).await?;
            if done == ReservationWrite::Saved {
                table.nature.tell(|| format!("reservation {id} is {}", reservation.state.as_str()));
                let rev = expected.unwrap_or_default() + 1;
                let after = StoredReservation { rev, reservation: reservation.clone() };
                if !table.nature.lacks(Law::ReservationsFollowed) {
                    let before = before.map(Followed::Reservation);
                    table.stream.emit(&table.nature, id.as_str(), before, Followed::Reservation(after));
                }
            }
            Ok(done)
        })
        .await
    }

    async fn due_reservations(
        &self,
        bucket: u8,
        now: Timestamp,
        limit: u32,
        after: Option<&DueReservation>,
    ) -> Result<DuePage, StoreError> {
        if self.0.nature.lacks(Law::Sweep) {
            return Ok(DuePage::default());
        }
        let work = self.0.memory.due_reservations(bucket, now, limit, after);
        self.look("due_reservations", (bucket, after), work).await
    }
}

impl IdempotencyStore for SimStore {
    async fn claim(&self, record: &OperationRecord) -> Result<OperationClaim, StoreError> {
        let claim = self.call("claim", self.0.memory.claim(record)).await?;
        Ok(if self.0.nature.lacks(Law::BoundKey) { OperationClaim::New } else { claim })
    }

    async fn keep_answer(
        &self,
        organization: &OrganizationId,
        key: &str,
        time: Timestamp,
        answer: &str,
    ) -> Result<Option<String>, StoreError> {
        self.call("keep_answer", self.0.memory.keep_answer(organization, key, time, answer)).await
    }
}

impl FeedStore for SimStore {
    async fn feed_tail(&self, organization: &OrganizationId, limit: u32) -> Result<FeedTail, StoreError> {
        let FeedTail { marker, pages } = self.call("feed_tail", self.0.memory.feed_tail(organization, limit)).await?;
        Ok(FeedTail { marker, pages: pages.into_iter().map(|page| self.seen(page)).collect() })
    }

    async fn feed_back(
        &self,
        organization: &OrganizationId,
        seq: u64,
        limit: u32,
    ) -> Result<Vec<ChangePage>, StoreError> {
        let pages = self.call("feed_back", self.0.memory.feed_back(organization, seq, limit)).await?;
        Ok(pages.into_iter().map(|page| self.seen(page)).collect())
    }

    async fn feed_forward(
        &self,
        organization: &OrganizationId,
        seq: u64,
        limit: u32,
    ) -> Result<Vec<ChangePage>, StoreError> {
        self.call("feed_forward", self.0.memory.feed_forward(organization, seq, limit)).await
    }

    async fn put_change_page(&self, organization: &OrganizationId, page: &ChangePage) -> Result<bool, StoreError> {
        self.call("put_change_page", async {
            let put = self.0.memory.put_change_page(organization, page).await?;
            self.0.nature.tell(|| format!("feed page {} of {}: {put}", page.first_seq, page.changes.len()));
            Ok(put)
        })
        .await
    }

    async fn mark_feed(
        &self,
        organization: &OrganizationId,
        expected: Option<&FeedMarker>,
        marker: &FeedMarker,
    ) -> Result<bool, StoreError> {
        self.call("mark_feed", self.0.memory.mark_feed(organization, expected, marker)).await
    }
}

impl SimStore {
    /// A page as a publisher sees it who does not look for its changes.
    fn seen(&self, mut page: ChangePage) -> ChangePage {
        if self.0.nature.lacks(Law::LookFirst) {
            for change in &mut page.changes {
                change.version = 0;
            }
        }
        page
    }

    pub(crate) async fn write_receipt(
        &self,
        expected: Option<u64>,
        receipt: &Receipt,
    ) -> Result<ReceiptWrite, StoreError> {
        let table = &self.0;
        self.call("save_receipt", async {
            let before = table.memory.load_receipt(&receipt.store, &receipt.id).await?;
            let current = before.as_ref().map(|stored| stored.rev);
            let expected = if table.nature.lacks(Law::ReceiptLock) { current } else { expected };
            let done = table.memory.save_receipt(expected, receipt).await?;
            if done == ReceiptWrite::Saved {
                table.nature.tell(|| format!("receipt {} is {}", receipt.id, receipt.state().as_str()));
                let after = StoredReceipt { rev: expected.unwrap_or_default() + 1, receipt: receipt.clone() };
                let old = before.as_ref().map(|stored| stored.receipt.clone());
                table.receipts.lock().unwrap().push((old, receipt.clone()));
                let before = before.map(Followed::Receipt);
                table.stream.emit(&table.nature, receipt.id.as_str(), before, Followed::Receipt(after));
            }
            Ok(done)
        })
        .await
    }

    pub(crate) async fn write_store(
        &self,
        expected: Option<u64>,
        store: &MarketplaceStore,
    ) -> Result<StoreWrite, StoreError> {
        let table = &self.0;
        self.call("save_store", async {
            let before = table.memory.load_store(&store.id).await?;
            let done = table.memory.save_store(expected, store).await?;
            if done == StoreWrite::Saved {
                let after = StoredStore { rev: expected.unwrap_or_default() + 1, store: store.clone() };
                table.stream.emit(
                    &table.nature,
                    store.id.as_str(),
                    before.map(Followed::Store),
                    Followed::Store(after),
                );
            }
            Ok(done)
        })
        .await
    }

    /// Every receipt that is known, as it is now.
    pub(crate) fn receipt(&self, store: &StoreId, id: &ReceiptId) -> Option<Receipt> {
        self.memory().receipts().into_iter().find(|receipt| receipt.store == *store && receipt.id == *id)
    }
}
