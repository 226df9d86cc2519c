//! The store in memory: the reference that the real one is held against.

use core::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use evenstock_domain::{
    BlindRequest, Breaker, LevelKey, LocationId, OrganizationId, PAGE_ENTRIES, Page, PageSearch, Reservation,
    ReservationId, Sku, Source, StockLevel, Timestamp,
};

use crate::{
    ApiKey, Appended, AuditEntry, BreakerStore, BreakerWatch, BulkSync, BulkSyncStore, Circuit, Commit, Conflict,
    DuePage, DueReservation, FailingBreakers, IdempotencyStore, KeyRecord, ListPage, ListPosition, OperationClaim,
    OperationRecord, PollRun, PollStatus, PollStatusStore, PollStore, ReservationStore, ReservationWrite, StockStore,
    StoreError, StoreProbe, Stored, StoredReservation, Warehouse,
};

#[derive(Debug, Default)]
struct PollState {
    runs: u64,
    cursor: Option<Timestamp>,
    due: Timestamp,
    not_before: Timestamp,
    job: String,
}

/// Products by the part that named them.
type Parts = BTreeMap<String, Vec<Sku>>;

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) levels: BTreeMap<LevelKey, Stored>,
    pages: BTreeMap<LevelKey, Vec<Page>>,
    operations: BTreeMap<(OrganizationId, String), OperationRecord>,
    polls: BTreeMap<Source, PollState>,
    breakers: BTreeMap<Source, (u64, Option<OrganizationId>, Breaker)>,
    pub(super) keys: BTreeMap<[u8; 32], KeyRecord>,
    pub(super) audit: BTreeMap<(OrganizationId, Timestamp, String), AuditEntry>,
    syncs: BTreeMap<(OrganizationId, String), (BulkSync, Parts)>,
    reservations: BTreeMap<(OrganizationId, ReservationId), StoredReservation>,
    pub(super) warehouses: BTreeMap<LocationId, Warehouse>,
    pub(super) conflicts: BTreeMap<(OrganizationId, String), Conflict>,
    pub(super) copies: BTreeMap<LevelKey, (u64, evenstock_domain::CentralCopy)>,
    pub(super) jobs: super::memory_jobs::JobState,
    pub(super) orders: super::memory_orders::Orders,
    callbacks: super::callback_memory::CallbackState,
    pub(super) feeds: BTreeMap<OrganizationId, super::memory_feed::Feed>,
    pub(super) repair: Option<crate::RepairPass>,
    pub(super) writes: u64,
}

/// All stores of the system behind one mutex, with the conditions of the real one.
#[derive(Debug, Default)]
pub struct MemoryStore(Mutex<State>);

impl MemoryStore {
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn with_callbacks<T>(&self, work: impl FnOnce(&mut super::callback_memory::CallbackState) -> T) -> T {
        work(&mut self.state().callbacks)
    }

    /// Puts a key, as the set-up of a deployment does.
    pub fn put_key(&self, hash: [u8; 32], key: ApiKey) {
        let (name, prefix, created_at) = (key.id.clone(), String::new(), Timestamp::EPOCH);
        let record = KeyRecord { hash, key, name, prefix, created_at, last_used_at: None, revoked_at: None };
        self.state().keys.insert(hash, record);
    }

    /// Every reservation of every tenant.
    pub fn reservations(&self) -> Vec<Reservation> {
        self.state().reservations.values().map(|stored| stored.reservation.clone()).collect()
    }

    /// How often a write was tried.
    pub fn writes(&self) -> u64 {
        self.state().writes
    }

    /// Every stored page of a level, oldest first.
    pub fn pages(&self, key: &LevelKey) -> Vec<Page> {
        let mut pages = self.state().pages.get(key).cloned().unwrap_or_default();
        pages.sort_by_key(|page| page.first_version);
        pages
    }
}

impl StockStore for MemoryStore {
    async fn load(&self, key: &LevelKey) -> Result<Option<Stored>, StoreError> {
        Ok(self.state().levels.get(key).cloned())
    }

    async fn commit(&self, key: &LevelKey, expected: Option<u64>, level: &StockLevel) -> Result<Commit, StoreError> {
        let mut state = self.state();
        state.writes += 1;
        let current = state.levels.get(key).cloned();
        if current.as_ref().map(|stored| stored.rev) != expected {
            return Ok(Commit::Conflict(current));
        }
        let rev = expected.unwrap_or_default() + 1;
        state.levels.insert(key.clone(), Stored { rev, level: level.clone() });
        Ok(Commit::Committed)
    }

    async fn append(&self, key: &LevelKey, request: &BlindRequest) -> Result<Appended, StoreError> {
        let mut state = self.state();
        state.writes += 1;
        match state.levels.get_mut(key) {
            Some(stored) if request.fits(&stored.level) => {
                request.apply(&mut stored.level);
                stored.rev += 1;
                Ok(Appended::Applied(stored.clone()))
            }
            current => Ok(Appended::Refused(current.cloned())),
        }
    }

    async fn put_page(&self, key: &LevelKey, page: &Page) -> Result<(), StoreError> {
        let mut state = self.state();
        state.writes += 1;
        let pages = state.pages.entry(key.clone()).or_default();
        if !pages.iter().any(|known| known.first_version == page.first_version) {
            pages.push(page.clone());
        }
        Ok(())
    }

    async fn drop_page(&self, key: &LevelKey, seen: &StockLevel) -> Result<bool, StoreError> {
        let mut state = self.state();
        state.writes += 1;
        match state.levels.get_mut(key) {
            Some(stored) if seen.recent.len() >= PAGE_ENTRIES && stored.level.recent.first() == seen.recent.first() => {
                stored.level.drop_page();
                stored.rev += 1;
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    async fn pages_since(&self, key: &LevelKey, start: Timestamp) -> Result<Vec<Page>, StoreError> {
        let mut pages = self.state().pages.get(key).cloned().unwrap_or_default();
        pages.sort_by_key(|page| (page.committed_at(), page.first_version));
        let mut search = PageSearch::new(start);
        for page in pages.into_iter().rev() {
            if search.take(page) {
                break;
            }
        }
        Ok(search.finish())
    }

    async fn pages_before(
        &self,
        key: &LevelKey,
        version: u64,
        until: Timestamp,
        limit: usize,
    ) -> Result<Vec<Page>, StoreError> {
        let mut pages = self.state().pages.get(key).cloned().unwrap_or_default();
        pages.retain(|page| page.first_version <= version && page.committed_at() <= until);
        pages.sort_by_key(|page| core::cmp::Reverse((page.committed_at(), page.first_version)));
        pages.truncate(limit);
        Ok(pages)
    }

    async fn levels_of(
        &self,
        organization: &OrganizationId,
        sku: &Sku,
    ) -> Result<Vec<(LocationId, StockLevel)>, StoreError> {
        let state = self.state();
        let of_sku = state.levels.iter().filter(|(key, _)| key.organization == *organization && key.sku == *sku);
        Ok(of_sku.map(|(key, stored)| (key.location.clone(), stored.level.clone())).collect())
    }

    async fn list(
        &self,
        organization: &OrganizationId,
        after: Option<&ListPosition>,
        limit: u32,
    ) -> Result<ListPage, StoreError> {
        let state = self.state();
        let behind = |key: &LevelKey| {
            after.is_none_or(|position| (&key.sku, &key.location) > (&position.sku, &position.location))
        };
        let mut rest = state.levels.iter().filter(|(key, _)| key.organization == *organization && behind(key));
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let levels: Vec<_> =
            rest.by_ref().take(limit).map(|(key, stored)| (key.clone(), stored.level.clone())).collect();
        let next = rest
            .next()
            .and_then(|_| levels.last())
            .map(|(key, _)| ListPosition { sku: key.sku.clone(), location: key.location.clone() });
        Ok(ListPage { levels, next })
    }
}

impl IdempotencyStore for MemoryStore {
    async fn claim(&self, record: &OperationRecord) -> Result<OperationClaim, StoreError> {
        let mut state = self.state();
        state.writes += 1;
        let name = (record.organization.clone(), record.key.clone());
        match state.operations.get(&name) {
            Some(known) if known.expires_at > record.time => Ok(OperationClaim::Existing(known.clone())),
            _ => {
                state.operations.insert(name, record.clone());
                Ok(OperationClaim::New)
            }
        }
    }

    async fn keep_answer(
        &self,
        organization: &OrganizationId,
        key: &str,
        time: Timestamp,
        answer: &str,
    ) -> Result<Option<String>, StoreError> {
        let mut state = self.state();
        state.writes += 1;
        let record = state.operations.get_mut(&(organization.clone(), key.to_owned()));
        let ours = record.filter(|record| record.time == time);
        Ok(ours.map(|record| record.answer.get_or_insert_with(|| answer.to_owned()).clone()))
    }
}

impl BulkSyncStore for MemoryStore {
    async fn begin_sync(&self, sync: &BulkSync) -> Result<BulkSync, StoreError> {
        let mut state = self.state();
        state.writes += 1;
        let name = (sync.organization.clone(), sync.id.clone());
        match state.syncs.get(&name) {
            Some((known, _)) if known.expires_at > sync.started_at => Ok(known.clone()),
            _ => {
                state.syncs.insert(name, (sync.clone(), BTreeMap::new()));
                Ok(sync.clone())
            }
        }
    }

    async fn add_part(&self, sync: &BulkSync, part: &str, products: &[Sku]) -> Result<(), StoreError> {
        let mut state = self.state();
        state.writes += 1;
        if let Some((_, parts)) = state.syncs.get_mut(&(sync.organization.clone(), sync.id.clone())) {
            parts.insert(part.to_owned(), products.to_vec());
        }
        Ok(())
    }

    async fn named(&self, sync: &BulkSync, parts_max: usize) -> Result<Option<BTreeSet<Sku>>, StoreError> {
        let state = self.state();
        let parts = state.syncs.get(&(sync.organization.clone(), sync.id.clone())).map(|(_, parts)| parts);
        let named = || parts.into_iter().flat_map(BTreeMap::values).flatten().cloned().collect();
        Ok((parts.map_or(0, BTreeMap::len) <= parts_max).then(named))
    }
}

impl ReservationStore for MemoryStore {
    async fn load_reservation(
        &self,
        organization: &OrganizationId,
        id: &ReservationId,
    ) -> Result<Option<StoredReservation>, StoreError> {
        Ok(self.state().reservations.get(&(organization.clone(), id.clone())).cloned())
    }

    async fn save_reservation(
        &self,
        expected: Option<u64>,
        reservation: &Reservation,
    ) -> Result<ReservationWrite, StoreError> {
        let mut state = self.state();
        state.writes += 1;
        let key = (reservation.organization.clone(), reservation.id.clone());
        let current = state.reservations.get(&key).cloned();
        if current.as_ref().map(|stored| stored.rev) != expected {
            return Ok(ReservationWrite::Conflict(current));
        }
        let rev = expected.unwrap_or_default() + 1;
        state.reservations.insert(key, StoredReservation { rev, reservation: reservation.clone() });
        Ok(ReservationWrite::Saved)
    }

    async fn due_reservations(
        &self,
        bucket: u8,
        now: Timestamp,
        limit: u32,
        after: Option<&DueReservation>,
    ) -> Result<DuePage, StoreError> {
        let state = self.state();
        let in_bucket = state.reservations.values().map(|stored| &stored.reservation);
        let mut due: Vec<_> = in_bucket
            .filter(|reservation| reservation.due_bucket() == bucket)
            .filter_map(|reservation| {
                let due_at = reservation.due_at().filter(|due_at| *due_at <= now)?;
                let (organization, id) = (reservation.organization.clone(), reservation.id.clone());
                Some(DueReservation { organization, id, due_at })
            })
            .collect();
        let place = |due: &DueReservation| (due.due_at, due.organization.clone(), due.id.clone());
        due.retain(|due| after.is_none_or(|after| place(due) > place(after)));
        due.sort_by_key(place);
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = due.len() > limit;
        due.truncate(limit);
        Ok(DuePage { due, more })
    }
}

impl PollStore for MemoryStore {
    async fn begin_run(
        &self,
        source: &Source,
        job: &str,
        now: Timestamp,
        next_due: Timestamp,
        forced: bool,
    ) -> Result<Option<PollRun>, StoreError> {
        let mut state = self.state();
        let poll = state.polls.entry(source.clone()).or_default();
        if poll.not_before > now || (!forced && poll.due > now && poll.job != job) {
            return Ok(None);
        }
        job.clone_into(&mut poll.job);
        poll.runs += 1;
        poll.due = next_due;
        Ok(Some(PollRun { number: poll.runs, cursor: poll.cursor }))
    }

    async fn finish_run(&self, source: &Source, due: Timestamp) -> Result<(), StoreError> {
        let mut state = self.state();
        let poll = state.polls.entry(source.clone()).or_default();
        poll.due = poll.due.max(due);
        Ok(())
    }

    async fn advance(&self, source: &Source, cursor: Timestamp) -> Result<(), StoreError> {
        let mut state = self.state();
        let poll = state.polls.entry(source.clone()).or_default();
        poll.cursor = poll.cursor.max(Some(cursor));
        Ok(())
    }

    async fn defer(&self, source: &Source, until: Timestamp) -> Result<(), StoreError> {
        let mut state = self.state();
        let poll = state.polls.entry(source.clone()).or_default();
        poll.not_before = poll.not_before.max(until);
        Ok(())
    }
}

impl PollStatusStore for MemoryStore {
    async fn poll_status(&self, source: &Source) -> Result<PollStatus, StoreError> {
        let known = |time: Timestamp| (time > Timestamp::EPOCH).then_some(time);
        Ok(self.state().polls.get(source).map_or_else(PollStatus::default, |poll| PollStatus {
            runs: poll.runs,
            cursor: poll.cursor,
            due: known(poll.due),
            not_before: known(poll.not_before),
        }))
    }
}

impl BreakerStore for MemoryStore {
    async fn load_breaker(&self, name: &Source) -> Result<(Option<u64>, Breaker), StoreError> {
        Ok(self
            .state()
            .breakers
            .get(name)
            .map_or_else(|| (None, Breaker::default()), |(rev, _, breaker)| (Some(*rev), breaker.clone())))
    }

    async fn save_breaker(
        &self,
        circuit: &Circuit,
        expected: Option<u64>,
        breaker: &Breaker,
    ) -> Result<bool, StoreError> {
        let mut state = self.state();
        if state.breakers.get(&circuit.name).map(|(rev, ..)| *rev) != expected {
            return Ok(false);
        }
        let written = (expected.unwrap_or_default() + 1, circuit.organization.clone(), breaker.clone());
        state.breakers.insert(circuit.name.clone(), written);
        Ok(true)
    }
}

impl BreakerWatch for MemoryStore {
    async fn failing_breakers(
        &self,
        organization: Option<&OrganizationId>,
        limit: u32,
    ) -> Result<FailingBreakers, StoreError> {
        let state = self.state();
        let asked_for = state.breakers.iter().filter(|(_, (_, of, breaker))| {
            breaker.is_failing() && (organization.is_none() || of.as_ref() == organization)
        });
        let mut breakers: Vec<_> = asked_for.map(|(name, (_, _, breaker))| (name.clone(), breaker.clone())).collect();
        breakers.sort_by_key(|(_, breaker)| Reverse(breaker.open_until));
        let more = breakers.len() > limit as usize;
        breakers.truncate(limit as usize);
        Ok(FailingBreakers { breakers, more })
    }
}

impl StoreProbe for MemoryStore {
    async fn ping(&self) -> Result<(), StoreError> {
        Ok(())
    }
}
