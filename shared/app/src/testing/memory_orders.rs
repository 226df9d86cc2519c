//! Stores and receipts in memory.

use std::collections::BTreeMap;

use evenstock_domain::{Marketplace, OrganizationId, Receipt, ReceiptId, ReceiptState, StoreId, StoreSync, Timestamp};

use super::MemoryStore;
use crate::{
    DueReceipt, DueReceipts, DueStore, DueStores, MarketplaceStore, MarketplaceStores, ReceiptPage, ReceiptStore,
    ReceiptWrite, StoreClaim, StoreError, StoreWrite, StoredReceipt, StoredStore,
};

type Triple = (OrganizationId, Marketplace, StoreId);

#[derive(Debug, Default)]
pub(super) struct Orders {
    claims: BTreeMap<Triple, StoreClaim>,
    stores: BTreeMap<StoreId, StoredStore>,
    tokens: BTreeMap<[u8; 32], StoreId>,
    receipts: BTreeMap<(StoreId, ReceiptId), StoredReceipt>,
}

impl Orders {
    fn of<'a>(&'a self, store: &'a StoreId) -> impl Iterator<Item = &'a Receipt> {
        self.receipts.values().map(|stored| &stored.receipt).filter(move |receipt| receipt.store == *store)
    }
}

fn cut<T>(mut due: Vec<T>, limit: u32) -> (Vec<T>, bool) {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = due.len() > limit;
    due.truncate(limit);
    (due, more)
}

impl MemoryStore {
    /// Every receipt of every store.
    pub fn receipts(&self) -> Vec<Receipt> {
        self.state().orders.receipts.values().map(|stored| stored.receipt.clone()).collect()
    }
}

impl MarketplaceStores for MemoryStore {
    async fn claim_store(&self, claim: &StoreClaim) -> Result<StoreClaim, StoreError> {
        let triple = (claim.organization.clone(), claim.marketplace.clone(), claim.external_id.clone());
        Ok(self.state().orders.claims.entry(triple).or_insert_with(|| claim.clone()).clone())
    }

    async fn load_store(&self, id: &StoreId) -> Result<Option<StoredStore>, StoreError> {
        Ok(self.state().orders.stores.get(id).cloned())
    }

    async fn save_store(&self, expected: Option<u64>, store: &MarketplaceStore) -> Result<StoreWrite, StoreError> {
        let stores = &mut self.state().orders.stores;
        let current = stores.get(&store.id).cloned();
        if current.as_ref().map(|stored| stored.rev) != expected {
            return Ok(StoreWrite::Conflict(current));
        }
        let rev = expected.unwrap_or_default() + 1;
        stores.insert(store.id.clone(), StoredStore { rev, store: store.clone() });
        Ok(StoreWrite::Saved)
    }

    async fn point_token(&self, hash: &[u8; 32], store: &StoreId) -> Result<(), StoreError> {
        self.state().orders.tokens.entry(*hash).or_insert_with(|| store.clone());
        Ok(())
    }

    async fn find_token(&self, hash: &[u8; 32]) -> Result<Option<StoreId>, StoreError> {
        Ok(self.state().orders.tokens.get(hash).cloned())
    }

    async fn due_stores(
        &self,
        bucket: u8,
        now: Timestamp,
        limit: u32,
        after: Option<&DueStore>,
    ) -> Result<DueStores, StoreError> {
        let state = self.state();
        let place = |due: &DueStore| (due.due_at, due.id.clone());
        let in_bucket = state.orders.stores.values().filter(|stored| StoreSync::due_bucket(&stored.store.id) == bucket);
        let mut due: Vec<_> = in_bucket
            .filter_map(|stored| {
                let due_at = stored.store.sync.watch?.due_at;
                (due_at <= now).then(|| DueStore { id: stored.store.id.clone(), due_at })
            })
            .filter(|due| after.is_none_or(|after| place(due) > place(after)))
            .collect();
        due.sort_by_key(place);
        let (due, more) = cut(due, limit);
        Ok(DueStores { due, more })
    }
}

impl ReceiptStore for MemoryStore {
    async fn load_receipt(&self, store: &StoreId, id: &ReceiptId) -> Result<Option<StoredReceipt>, StoreError> {
        Ok(self.state().orders.receipts.get(&(store.clone(), id.clone())).cloned())
    }

    async fn save_receipt(&self, expected: Option<u64>, receipt: &Receipt) -> Result<ReceiptWrite, StoreError> {
        let mut state = self.state();
        state.writes += 1;
        let key = (receipt.store.clone(), receipt.id.clone());
        let current = state.orders.receipts.get(&key).cloned();
        if current.as_ref().map(|stored| stored.rev) != expected {
            return Ok(ReceiptWrite::Conflict(current));
        }
        let rev = expected.unwrap_or_default() + 1;
        state.orders.receipts.insert(key, StoredReceipt { rev, receipt: receipt.clone() });
        Ok(ReceiptWrite::Saved)
    }

    async fn due_receipts(
        &self,
        store: &StoreId,
        until: Timestamp,
        limit: u32,
        after: Option<&DueReceipt>,
    ) -> Result<DueReceipts, StoreError> {
        let state = self.state();
        let place = |due: &DueReceipt| (due.due_at, due.id.clone());
        let mut due: Vec<_> = state
            .orders
            .of(store)
            .filter_map(|receipt| {
                let due_at = receipt.due_at().filter(|due_at| *due_at <= until)?;
                Some(DueReceipt { id: receipt.id.clone(), due_at })
            })
            .filter(|due| after.is_none_or(|after| place(due) > place(after)))
            .collect();
        due.sort_by_key(place);
        let (due, more) = cut(due, limit);
        Ok(DueReceipts { due, more })
    }

    async fn latest_answers(
        &self,
        store: &StoreId,
        state: ReceiptState,
        limit: u32,
    ) -> Result<Vec<Timestamp>, StoreError> {
        let all = self.state();
        let mut times: Vec<_> = all
            .orders
            .of(store)
            .filter(|receipt| receipt.state() == state)
            .filter_map(|receipt| receipt.answered_at)
            .collect();
        times.sort_by_key(|time| core::cmp::Reverse(*time));
        Ok(cut(times, limit).0)
    }

    async fn count_receipts(&self, store: &StoreId, state: ReceiptState) -> Result<u64, StoreError> {
        Ok(self.state().orders.of(store).filter(|receipt| receipt.state() == state).count() as u64)
    }

    async fn orders_at(&self, store: &StoreId, answered_at: Timestamp) -> Result<Vec<ReceiptId>, StoreError> {
        let all = self.state();
        let at = |receipt: &&Receipt| receipt.order().is_some() && receipt.answered_at == Some(answered_at);
        Ok(all.orders.of(store).filter(at).map(|receipt| receipt.id.clone()).collect())
    }

    async fn list_receipts(
        &self,
        store: &StoreId,
        state: Option<ReceiptState>,
        limit: u32,
        after: Option<&ReceiptId>,
    ) -> Result<ReceiptPage, StoreError> {
        let all = self.state();
        let mut rest: Vec<_> = all.orders.of(store).cloned().collect();
        rest.retain(|receipt| after.is_none_or(|after| receipt.id > *after));
        let (looked_at, more) = cut(rest, limit);
        let next = looked_at.last().filter(|_| more).map(|receipt| receipt.id.clone());
        let matches = |receipt: &Receipt| state.is_none_or(|state| receipt.state() == state);
        Ok(ReceiptPage { receipts: looked_at.into_iter().filter(matches).collect(), next })
    }
}
