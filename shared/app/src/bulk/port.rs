//! What a bulk sync in parts must remember from one request to the next.

use core::future::Future;
use std::collections::BTreeSet;

use evenstock_domain::{LocationId, OrganizationId, Sku, Timestamp};

use crate::StoreError;

/// A replacement of a location's whole stock that comes in several requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BulkSync {
    /// Whose stock it is.
    pub organization: OrganizationId,
    /// The client's name for it.
    pub id: String,
    /// The place.
    pub location: LocationId,
    /// When its first part came.
    pub started_at: Timestamp,
    /// When the name may be used anew.
    pub expires_at: Timestamp,
}

/// What the parts of bulk syncs named.
pub trait BulkSyncStore: Send + Sync {
    /// Begins a sync if its name is unused, or expired by `sync.started_at`. Gives the one that is under way.
    fn begin_sync(&self, sync: &BulkSync) -> impl Future<Output = Result<BulkSync, StoreError>> + Send;

    /// Keeps the products of a part. Keeping the same part again changes nothing.
    fn add_part(
        &self,
        sync: &BulkSync,
        part: &str,
        products: &[Sku],
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Every product that the parts named; `None` when there are more than `parts_max` parts.
    fn named(
        &self,
        sync: &BulkSync,
        parts_max: usize,
    ) -> impl Future<Output = Result<Option<BTreeSet<Sku>>, StoreError>> + Send;
}
