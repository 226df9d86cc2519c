//! How a store's synchronization goes, from the indexes of its receipts: nothing is counted at writing.

use evenstock_domain::{ReceiptState, SYNC_STATUS_RECEIPTS, StoreId, SyncStatus, Timestamp};
use futures::try_join;

use super::ReceiptStore;
use crate::StoreError;

/// How a store's synchronization goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SyncReport {
    /// When the marketplace last answered.
    pub last_sync_at: Option<Timestamp>,
    /// Orders imported.
    pub imported_orders: u64,
    /// How it goes.
    pub status: SyncStatus,
    /// Receipts that the marketplace put off and that are not settled yet.
    pub rate_limited_count: u64,
}

/// Reports how a store's synchronization goes.
///
/// # Errors
/// [`StoreError`] when the receipts cannot be read.
pub async fn sync_report<S: ReceiptStore>(store: &S, of: &StoreId) -> Result<SyncReport, StoreError> {
    let limit = u32::try_from(SYNC_STATUS_RECEIPTS).unwrap_or(u32::MAX);
    let answers = |state| store.latest_answers(of, state, limit);
    let (orders, failed, limited, imported_orders, rate_limited_count) = try_join!(
        answers(ReceiptState::Success),
        answers(ReceiptState::Failed),
        answers(ReceiptState::RateLimited),
        store.count_receipts(of, ReceiptState::Success),
        store.count_receipts(of, ReceiptState::RateLimited),
    )?;
    let mut latest: Vec<(Timestamp, ReceiptState)> = Vec::new();
    let answers =
        [(ReceiptState::Success, orders), (ReceiptState::Failed, failed), (ReceiptState::RateLimited, limited)];
    for (state, times) in answers {
        latest.extend(times.into_iter().map(|time| (time, state)));
    }
    latest.sort_unstable_by(|one, other| other.cmp(one));
    let states: Vec<_> = latest.iter().map(|(_, state)| *state).collect();
    let last_sync_at = latest.first().map(|(time, _)| *time);
    Ok(SyncReport { last_sync_at, imported_orders, status: SyncStatus::of(&states), rate_limited_count })
}
