//! Faults of stores, receipts and breakers.

use evenstock_domain::{Breaker, OrganizationId, Receipt, ReceiptId, ReceiptState, Source, StoreId, Timestamp};

use super::FaultyStore;
use crate::{
    BreakerStore, BreakerWatch, Circuit, DueReceipt, DueReceipts, DueStore, DueStores, FailingBreakers,
    MarketplaceStore, MarketplaceStores, ReceiptPage, ReceiptStore, ReceiptWrite, StoreClaim, StoreError, StoreWrite,
    StoredReceipt, StoredStore,
};

impl<S: MarketplaceStores> MarketplaceStores for FaultyStore<S> {
    async fn claim_store(&self, claim: &StoreClaim) -> Result<StoreClaim, StoreError> {
        self.call("claim_store", self.inner().claim_store(claim)).await
    }

    async fn load_store(&self, id: &StoreId) -> Result<Option<StoredStore>, StoreError> {
        self.call("load_store", self.inner().load_store(id)).await
    }

    async fn save_store(&self, expected: Option<u64>, store: &MarketplaceStore) -> Result<StoreWrite, StoreError> {
        self.call("save_store", self.inner().save_store(expected, store)).await
    }

    async fn point_token(&self, hash: &[u8; 32], store: &StoreId) -> Result<(), StoreError> {
        self.call("point_token", self.inner().point_token(hash, store)).await
    }

    async fn find_token(&self, hash: &[u8; 32]) -> Result<Option<StoreId>, StoreError> {
        self.call("find_token", self.inner().find_token(hash)).await
    }

    async fn due_stores(
        &self,
        bucket: u8,
        now: Timestamp,
        limit: u32,
        after: Option<&DueStore>,
    ) -> Result<DueStores, StoreError> {
        self.call("due_stores", self.inner().due_stores(bucket, now, limit, after)).await
    }
}

impl<S: ReceiptStore> ReceiptStore for FaultyStore<S> {
    async fn load_receipt(&self, store: &StoreId, id: &ReceiptId) -> Result<Option<StoredReceipt>, StoreError> {
        self.call("load_receipt", self.inner().load_receipt(store, id)).await
    }

    async fn save_receipt(&self, expected: Option<u64>, receipt: &Receipt) -> Result<ReceiptWrite, StoreError> {
        self.call("save_receipt", self.inner().save_receipt(expected, receipt)).await
    }

    async fn due_receipts(
        &self,
        store: &StoreId,
        until: Timestamp,
        limit: u32,
        after: Option<&DueReceipt>,
    ) -> Result<DueReceipts, StoreError> {
        self.call("due_receipts", self.inner().due_receipts(store, until, limit, after)).await
    }

    async fn latest_answers(
        &self,
        store: &StoreId,
        state: ReceiptState,
        limit: u32,
    ) -> Result<Vec<Timestamp>, StoreError> {
        self.call("latest_answers", self.inner().latest_answers(store, state, limit)).await
    }

    async fn count_receipts(&self, store: &StoreId, state: ReceiptState) -> Result<u64, StoreError> {
        self.call("count_receipts", self.inner().count_receipts(store, state)).await
    }

    async fn orders_at(&self, store: &StoreId, answered_at: Timestamp) -> Result<Vec<ReceiptId>, StoreError> {
        self.call("orders_at", self.inner().orders_at(store, answered_at)).await
    }

    async fn list_receipts(
        &self,
        store: &StoreId,
        state: Option<ReceiptState>,
        limit: u32,
        after: Option<&ReceiptId>,
    ) -> Result<ReceiptPage, StoreError> {
        self.call("list_receipts", self.inner().list_receipts(store, state, limit, after)).await
    }
}

impl<S: BreakerWatch> BreakerWatch for FaultyStore<S> {
    async fn failing_breakers(
        &self,
        organization: Option<&OrganizationId>,
        limit: u32,
    ) -> Result<FailingBreakers, StoreError> {
        self.call("failing_breakers", self.inner().failing_breakers(organization, limit)).await
    }
}

impl<S: BreakerStore> BreakerStore for FaultyStore<S> {
    async fn load_breaker(&self, name: &Source) -> Result<(Option<u64>, Breaker), StoreError> {
        self.call("load_breaker", self.inner().load_breaker(name)).await
    }

    async fn save_breaker(
        &self,
        circuit: &Circuit,
        expected: Option<u64>,
        breaker: &Breaker,
    ) -> Result<bool, StoreError> {
        self.call("save_breaker", self.inner().save_breaker(circuit, expected, breaker)).await
    }
}
