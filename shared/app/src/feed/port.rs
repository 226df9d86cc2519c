//! What the change feed needs of the table. Every read sees every completed write.

use core::future::Future;

use evenstock_domain::{ChangePage, FeedMarker, FeedTail, LevelKey, OrganizationId, StockLevel};

use super::RepairPass;
use crate::StoreError;

/// The pages and the marker of every organization's feed.
pub trait FeedStore: Send + Sync {
    /// Reads the marker and the newest pages, at most `limit`, expired or not.
    fn feed_tail(
        &self,
        organization: &OrganizationId,
        limit: u32,
    ) -> impl Future<Output = Result<FeedTail, StoreError>> + Send;

    /// Reads pages that begin with a number up to `seq`, newest first, at most `limit`. Fewer only when there are no
    /// more.
    fn feed_back(
        &self,
        organization: &OrganizationId,
        seq: u64,
        limit: u32,
    ) -> impl Future<Output = Result<Vec<ChangePage>, StoreError>> + Send;

    /// Reads pages that begin with a number above `seq`, oldest first, at most `limit`. Fewer only when there are no
    /// more.
    fn feed_forward(
        &self,
        organization: &OrganizationId,
        seq: u64,
        limit: u32,
    ) -> impl Future<Output = Result<Vec<ChangePage>, StoreError>> + Send;

    /// Puts a page if no page begins with its first number. `false` when one does.
    fn put_change_page(
        &self,
        organization: &OrganizationId,
        page: &ChangePage,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Writes the marker if it is still `expected` (`None`: if there is none). `false` when it is not.
    fn mark_feed(
        &self,
        organization: &OrganizationId,
        expected: Option<&FeedMarker>,
        marker: &FeedMarker,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;
}

/// Levels of all organizations, in an order that stays.
#[derive(Debug, Default)]
pub struct ScanPage {
    /// Levels. Those of one organization stand together, as far as the page goes.
    pub levels: Vec<(LevelKey, StockLevel)>,
    /// Why levels that stand here are not among them: each a [`StoreError::Corrupt`].
    pub unreadable: Vec<StoreError>,
    /// The last level looked at; `None` when the scan is at its end.
    pub next: Option<LevelKey>,
}

/// Going through all levels of all organizations.
pub trait LevelScan: Send + Sync {
    /// Reads at most `limit` levels behind `after`. A level created a moment ago may be missing.
    fn scan_levels(
        &self,
        after: Option<&LevelKey>,
        limit: u32,
    ) -> impl Future<Output = Result<ScanPage, StoreError>> + Send;
}

/// How far the nightly repair has come.
pub trait RepairStore: Send + Sync {
    /// Reads the pass in work or the last one; `None` before the first.
    fn repair_pass(&self) -> impl Future<Output = Result<Option<RepairPass>, StoreError>> + Send;

    /// Writes it if it is still `expected`. `false` when another run was faster.
    fn save_repair_pass(
        &self,
        expected: Option<&RepairPass>,
        pass: &RepairPass,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;
}
