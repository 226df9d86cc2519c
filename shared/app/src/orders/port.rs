//! The ports of stores and receipts.

use core::future::Future;

use evenstock_domain::{Marketplace, OrganizationId, Receipt, ReceiptId, ReceiptState, StoreId, Timestamp};

use super::MarketplaceStore;
use crate::{Sealed, StoreError};

/// Who a seller's account is, for ever: the first registration of a triple decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreClaim {
    /// The tenant.
    pub organization: OrganizationId,
    /// The kind of marketplace.
    pub marketplace: Marketplace,
    /// The account's name there.
    pub external_id: StoreId,
    /// Its name with us.
    pub store: StoreId,
    /// Its sync token.
    pub sync_token: Sealed,
}

/// A store as it stands in the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredStore {
    /// Counts every write: the optimistic lock.
    pub rev: u64,
    /// The store.
    pub store: MarketplaceStore,
}

/// What became of a conditional write of a store.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "looked at once and let go of")]
pub enum StoreWrite {
    /// It is durable.
    Saved,
    /// Another writer was faster. Carries what stands there now.
    Conflict(Option<StoredStore>),
}

/// A store that somebody must look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueStore {
    /// The store.
    pub id: StoreId,
    /// Since when.
    pub due_at: Timestamp,
}

/// A page of due stores.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DueStores {
    /// Stores, longest due first.
    pub due: Vec<DueStore>,
    /// Whether there may be more behind the last of them.
    pub more: bool,
}

/// Marketplace stores, one item each.
pub trait MarketplaceStores: Send + Sync {
    /// Puts the claim if its triple has none. Gives the one that stands.
    fn claim_store(&self, claim: &StoreClaim) -> impl Future<Output = Result<StoreClaim, StoreError>> + Send;

    /// Reads a store as the last completed write left it. `None` when it does not exist.
    fn load_store(&self, id: &StoreId) -> impl Future<Output = Result<Option<StoredStore>, StoreError>> + Send;

    /// Writes a store if its `rev` is still `expected` (`None`: if it does not exist).
    fn save_store(
        &self,
        expected: Option<u64>,
        store: &MarketplaceStore,
    ) -> impl Future<Output = Result<StoreWrite, StoreError>> + Send;

    /// Makes a sync token lead to a store; does nothing when it does.
    fn point_token(&self, hash: &[u8; 32], store: &StoreId) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Where the sync token of this hash leads.
    fn find_token(&self, hash: &[u8; 32]) -> impl Future<Output = Result<Option<StoreId>, StoreError>> + Send;

    /// Lists stores of a group that were due at `now`, at most `limit` behind `after`. What was written a moment ago may
    /// be missing, or still be listed.
    fn due_stores(
        &self,
        bucket: u8,
        now: Timestamp,
        limit: u32,
        after: Option<&DueStore>,
    ) -> impl Future<Output = Result<DueStores, StoreError>> + Send;
}

/// A receipt as it stands in the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredReceipt {
    /// Counts every write: the optimistic lock.
    pub rev: u64,
    /// The receipt.
    pub receipt: Receipt,
}

/// What became of a conditional write of a receipt.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "looked at once and let go of")]
pub enum ReceiptWrite {
    /// It is durable.
    Saved,
    /// Another writer was faster. Carries what stands there now.
    Conflict(Option<StoredReceipt>),
}

/// A receipt that somebody must look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueReceipt {
    /// The receipt.
    pub id: ReceiptId,
    /// Since when.
    pub due_at: Timestamp,
}

/// A page of due receipts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DueReceipts {
    /// Receipts, longest due first.
    pub due: Vec<DueReceipt>,
    /// Whether there may be more behind the last of them.
    pub more: bool,
}

/// A page of a store's receipts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ReceiptPage {
    /// Receipts in a stable order.
    pub receipts: Vec<Receipt>,
    /// Behind which receipt the next page begins; `None` at the end.
    pub next: Option<ReceiptId>,
}

/// Receipts, one item each. Of the indexes behind `due_receipts`, `latest_receipts`, `count_receipts` and `receipts_at`
/// what was written a moment ago may be missing, or still be listed as it was.
pub trait ReceiptStore: Send + Sync {
    /// Reads a receipt as the last completed write left it. `None` when it does not exist.
    fn load_receipt(
        &self,
        store: &StoreId,
        id: &ReceiptId,
    ) -> impl Future<Output = Result<Option<StoredReceipt>, StoreError>> + Send;

    /// Writes a receipt if its `rev` is still `expected` (`None`: if it does not exist).
    fn save_receipt(
        &self,
        expected: Option<u64>,
        receipt: &Receipt,
    ) -> impl Future<Output = Result<ReceiptWrite, StoreError>> + Send;

    /// Lists a store's receipts that were due at `until`, at most `limit` behind `after`.
    fn due_receipts(
        &self,
        store: &StoreId,
        until: Timestamp,
        limit: u32,
        after: Option<&DueReceipt>,
    ) -> impl Future<Output = Result<DueReceipts, StoreError>> + Send;

    /// When the receipts of a store that are in an answered state were answered: the newest `limit`, newest first.
    fn latest_answers(
        &self,
        store: &StoreId,
        state: ReceiptState,
        limit: u32,
    ) -> impl Future<Output = Result<Vec<Timestamp>, StoreError>> + Send;

    /// How many receipts of a store are in an answered state.
    fn count_receipts(
        &self,
        store: &StoreId,
        state: ReceiptState,
    ) -> impl Future<Output = Result<u64, StoreError>> + Send;

    /// The orders of a store that were imported at exactly this time.
    fn orders_at(
        &self,
        store: &StoreId,
        answered_at: Timestamp,
    ) -> impl Future<Output = Result<Vec<ReceiptId>, StoreError>> + Send;

    /// Lists a store's receipts in this state (`None`: in any), looking at no more than `limit` behind `after`. A page
    /// may be empty and yet not be the last.
    fn list_receipts(
        &self,
        store: &StoreId,
        state: Option<ReceiptState>,
        limit: u32,
        after: Option<&ReceiptId>,
    ) -> impl Future<Output = Result<ReceiptPage, StoreError>> + Send;
}
