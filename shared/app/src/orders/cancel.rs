//! Calling an order off, and hearing of one: both may come before it is imported.

use evenstock_domain::{Receipt, ReceiptId, Timestamp};

use super::watch::{Moved, Wanted, step_receipt, watch};
use super::{MarketplaceStores, ReceiptStore, StoredStore};
use crate::{Clock, StoreError};

fn begin(of: &StoredStore, id: &ReceiptId, now: Timestamp) -> Receipt {
    let store = &of.store;
    Receipt::begin(store.organization.clone(), store.id.clone(), store.marketplace.clone(), id.clone(), now)
}

/// Calls an order off, once, however often it is sent; the receipt as it then is. Units that it took are given back. One
/// that is not imported yet is noted: its units will never be taken.
///
/// # Errors
/// [`StoreError`] when the store fails or stays outpaced; the caller may ask again.
pub async fn cancel_order<S, C>(store: &S, clock: &C, of: &StoredStore, id: &ReceiptId) -> Result<Receipt, StoreError>
where
    S: ReceiptStore,
    C: Clock,
{
    let cancelled = step_receipt(store, clock, (&of.store.id, id), None, |current, now| {
        let fresh = current.is_none().then(|| begin(of, id, now));
        match current.or(fresh.as_ref()) {
            Some(receipt) => receipt
                .cancel(now)
                .map_or_else(|| Wanted::Leave(receipt.clone()), |cancelled| Wanted::Write(Box::new(cancelled))),
            None => Wanted::Leave(begin(of, id, now)),
        }
    });
    Ok(match cancelled.await? {
        Moved::Written(cancelled) => cancelled.receipt,
        Moved::Left(receipt) => receipt,
    })
}

/// Notes a receipt that somebody tells of, for the store's worker to ask about. Does nothing when it is known. `of` must
/// have been read just now: whether somebody will look at the store is decided on it.
///
/// # Errors
/// [`StoreError`] when the store fails or stays outpaced; the sender may send again.
pub async fn note_receipt<S, C>(store: &S, clock: &C, of: &StoredStore, id: &ReceiptId) -> Result<(), StoreError>
where
    S: MarketplaceStores + ReceiptStore,
    C: Clock,
{
    // Whoever noted it saw to it that somebody looks, and a sender that repeats itself must not wake the worker each time.
    if store.load_receipt(&of.store.id, id).await?.is_some() {
        return Ok(());
    }
    // Before the receipt: should we die on the way, somebody will look.
    watch(store, clock, of, 0).await?;
    step_receipt(store, clock, (&of.store.id, id), Some(None), |current, now| match current {
        None => Wanted::Write(Box::new(begin(of, id, now))),
        Some(_) => Wanted::Leave(()),
    })
    .await
    .map(|_| ())
}
