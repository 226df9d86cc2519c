//! The ports of the table that only fail and lag, each method in one line.

use std::collections::BTreeSet;

use evenstock_app::{
    Arrival, Arrivals, AuditEntry, AuditLog, AuditPage, AuditPosition, BreakerStore, BulkSync, BulkSyncStore,
    CallbackStore, Circuit, DeliveryPage, DueDelivery, DueReceipt, DueReceipts, DueStore, DueStores, LevelScan,
    MarketplaceStore, MarketplaceStores, ReceiptPage, ReceiptStore, ReceiptWrite, RepairPass, RepairStore, ScanPage,
    StoreClaim, StoreError, StoreWrite, StoredDelivery, StoredReceipt, StoredStore, SwitchStore, SyncSwitch,
};
use evenstock_domain::{
    Breaker, Delivery, DeliveryId, EndpointHealth, EndpointId, LevelKey, OrganizationId, Receipt, ReceiptId,
    ReceiptState, Registry, Sku, Source, StoreId, Timestamp,
};

use crate::laws::Law;
use crate::store::SimStore;

/// Passes calls on to the table, with all that may happen to them.
macro_rules! calls {
    ($($name:ident($($arg:ident: $kind:ty),*) -> $answer:ty;)*) => {$(
        async fn $name(&self, $($arg: $kind),*) -> Result<$answer, StoreError> {
            self.call(stringify!($name), self.0.memory.$name($($arg),*)).await
        }
    )*};
}

impl AuditLog for SimStore {
    calls! {
        append_audit(entry: &AuditEntry) -> ();
        audit(organization: &OrganizationId, after: Option<&AuditPosition>, limit: u32) -> AuditPage;
    }
}

impl BulkSyncStore for SimStore {
    calls! {
        begin_sync(sync: &BulkSync) -> BulkSync;
        add_part(sync: &BulkSync, part: &str, products: &[Sku]) -> ();
        named(sync: &BulkSync, parts_max: usize) -> Option<BTreeSet<Sku>>;
    }
}

impl RepairStore for SimStore {
    calls! {
        repair_pass() -> Option<RepairPass>;
        save_repair_pass(expected: Option<&RepairPass>, pass: &RepairPass) -> bool;
    }
}

impl LevelScan for SimStore {
    calls! {
        scan_levels(after: Option<&LevelKey>, limit: u32) -> ScanPage;
    }
}

impl BreakerStore for SimStore {
    calls! {
        load_breaker(name: &Source) -> (Option<u64>, Breaker);
        save_breaker(circuit: &Circuit, expected: Option<u64>, breaker: &Breaker) -> bool;
    }
}

impl SwitchStore for SimStore {
    calls! {
        load_switch(organization: &OrganizationId) -> SyncSwitch;
        set_switch(organization: &OrganizationId, on: bool, interval_ms: Option<i64>, now: Timestamp) -> SyncSwitch;
        mark_run(organization: &OrganizationId, now: Timestamp) -> ();
    }
}

impl MarketplaceStores for SimStore {
    calls! {
        claim_store(claim: &StoreClaim) -> StoreClaim;
        load_store(id: &StoreId) -> Option<StoredStore>;
        point_token(hash: &[u8; 32], store: &StoreId) -> ();
        find_token(hash: &[u8; 32]) -> Option<StoreId>;
    }

    async fn save_store(&self, expected: Option<u64>, store: &MarketplaceStore) -> Result<StoreWrite, StoreError> {
        self.write_store(expected, store).await
    }

    async fn due_stores(
        &self,
        bucket: u8,
        now: Timestamp,
        limit: u32,
        after: Option<&DueStore>,
    ) -> Result<DueStores, StoreError> {
        self.look("due_stores", (bucket, after), self.0.memory.due_stores(bucket, now, limit, after)).await
    }
}

impl ReceiptStore for SimStore {
    calls! {
        load_receipt(store: &StoreId, id: &ReceiptId) -> Option<StoredReceipt>;
        latest_answers(store: &StoreId, state: ReceiptState, limit: u32) -> Vec<Timestamp>;
        count_receipts(store: &StoreId, state: ReceiptState) -> u64;
        orders_at(store: &StoreId, answered_at: Timestamp) -> Vec<ReceiptId>;
        list_receipts(
            store: &StoreId, state: Option<ReceiptState>, limit: u32, after: Option<&ReceiptId>
        ) -> ReceiptPage;
    }

    async fn save_receipt(&self, expected: Option<u64>, receipt: &Receipt) -> Result<ReceiptWrite, StoreError> {
        self.write_receipt(expected, receipt).await
    }

    async fn due_receipts(
        &self,
        store: &StoreId,
        until: Timestamp,
        limit: u32,
        after: Option<&DueReceipt>,
    ) -> Result<DueReceipts, StoreError> {
        let question = (until == Timestamp::MAX, limit, after);
        self.look("due_receipts", question, self.0.memory.due_receipts(store, until, limit, after)).await
    }
}

impl CallbackStore for SimStore {
    calls! {
        load_registry(organization: &OrganizationId) -> (Option<u64>, Registry);
        save_registry(expected: Option<u64>, registry: &Registry) -> bool;
        load_health(organization: &OrganizationId, endpoint: &EndpointId) -> (Option<u64>, EndpointHealth);
        save_health(
            organization: &OrganizationId, endpoint: &EndpointId, expected: Option<u64>, health: &EndpointHealth
        ) -> bool;
        load_delivery(organization: &OrganizationId, id: &DeliveryId) -> Option<StoredDelivery>;
        save_delivery(expected: Option<u64>, delivery: &Delivery) -> bool;
        log_arrivals(arrivals: &Arrivals) -> ();
        find_arrival(organization: &OrganizationId, id: &DeliveryId) -> Option<Arrival>;
        list_deliveries(
            organization: &OrganizationId, endpoint: &EndpointId, after: Option<&str>, limit: u32
        ) -> DeliveryPage;
        deliveries_since(
            organization: &OrganizationId, endpoint: &EndpointId, since: Timestamp, after: Option<&DeliveryId>,
            limit: u32
        ) -> (Vec<StoredDelivery>, bool);
        postpone(due: &DueDelivery, until: Timestamp) -> bool;
    }

    async fn due_deliveries(&self, bucket: u8, now: Timestamp, limit: u32) -> Result<Vec<DueDelivery>, StoreError> {
        if self.0.nature.lacks(Law::CallbackAgain) {
            return Ok(Vec::new());
        }
        self.look("due_deliveries", bucket, self.0.memory.due_deliveries(bucket, now, limit)).await
    }
}
