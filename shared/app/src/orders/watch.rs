//! Steps of a store or a receipt as conditional writes: load, decide, write if unchanged, again when others were faster
//! or the outcome stays unknown. Each step must find itself done when it looks again.

use evenstock_domain::{Receipt, ReceiptId, StoreId, Timestamp};

use super::{MarketplaceStore, MarketplaceStores, ReceiptStore, ReceiptWrite, StoreWrite, StoredReceipt, StoredStore};
use crate::{Clock, StoreError};

/// Tries of one step.
const ATTEMPTS_MAX: u32 = 12;

/// What became of a step of a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Stepped {
    /// The store after it.
    Written(Box<MarketplaceStore>),
    /// There was nothing to write. The store as it is.
    Unchanged(Box<MarketplaceStore>),
    /// There is no such store.
    Unknown,
}

/// Moves a store by one step. `known` spares the first read.
pub(crate) async fn step_store<S, C>(
    store: &S,
    clock: &C,
    id: &StoreId,
    mut known: Option<StoredStore>,
    step: impl Fn(&MarketplaceStore, Timestamp) -> Option<MarketplaceStore> + Send + Sync,
) -> Result<Stepped, StoreError>
where
    S: MarketplaceStores,
    C: Clock,
{
    let mut last = None;
    for attempt in 1..=ATTEMPTS_MAX {
        let current = match known.take() {
            Some(current) => Ok(Some(current)),
            None => store.load_store(id).await,
        };
        match current {
            Ok(None) => return Ok(Stepped::Unknown),
            Ok(Some(StoredStore { rev, store: current })) => {
                let Some(next) = step(&current, clock.now()) else {
                    return Ok(Stepped::Unchanged(Box::new(current)));
                };
                match store.save_store(Some(rev), &next).await {
                    Ok(StoreWrite::Saved) => return Ok(Stepped::Written(Box::new(next))),
                    Ok(StoreWrite::Conflict(current)) => known = current,
                    Err(error) if error.is_passing() => last = Some(error),
                    Err(error) => return Err(error),
                }
            }
            Err(error) if error.is_passing() => last = Some(error),
            Err(error) => return Err(error),
        }
        clock.back_off(attempt).await;
    }
    Err(last.unwrap_or_else(|| StoreError::exhausted(ATTEMPTS_MAX)))
}

/// What a receipt's step wants.
#[derive(Debug)]
pub(crate) enum Wanted<T> {
    /// This written.
    Write(Box<Receipt>),
    /// Nothing: this is the result.
    Leave(T),
}

/// What became of a step of a receipt.
#[derive(Debug)]
pub(crate) enum Moved<T> {
    /// The receipt after it, as it stands in the table.
    Written(Box<StoredReceipt>),
    /// There was nothing to write.
    Left(T),
}

/// Moves a receipt, which may not be there yet, by one step. `known` spares the first read: `Some(None)` when it is known
/// to be absent.
pub(crate) async fn step_receipt<S, C, T>(
    store: &S,
    clock: &C,
    (of, id): (&StoreId, &ReceiptId),
    mut known: Option<Option<StoredReceipt>>,
    step: impl Fn(Option<&Receipt>, Timestamp) -> Wanted<T> + Send + Sync,
) -> Result<Moved<T>, StoreError>
where
    S: ReceiptStore,
    C: Clock,
    T: Send,
{
    let mut last = None;
    for attempt in 1..=ATTEMPTS_MAX {
        let current = match known.take() {
            Some(current) => Ok(current),
            None => store.load_receipt(of, id).await,
        };
        match current {
            Ok(current) => {
                let next = match step(current.as_ref().map(|stored| &stored.receipt), clock.now()) {
                    Wanted::Leave(result) => return Ok(Moved::Left(result)),
                    Wanted::Write(next) => *next,
                };
                let rev = current.map(|stored| stored.rev);
                match store.save_receipt(rev, &next).await {
                    Ok(ReceiptWrite::Saved) => {
                        let rev = rev.map_or(1, |rev| rev.saturating_add(1));
                        return Ok(Moved::Written(Box::new(StoredReceipt { rev, receipt: next })));
                    }
                    Ok(ReceiptWrite::Conflict(current)) => known = Some(current),
                    Err(error) if error.is_passing() => last = Some(error),
                    Err(error) => return Err(error),
                }
            }
            Err(error) if error.is_passing() => last = Some(error),
            Err(error) => return Err(error),
        }
        clock.back_off(attempt).await;
    }
    Err(last.unwrap_or_else(|| StoreError::exhausted(ATTEMPTS_MAX)))
}

/// Sees to it that somebody looks at the store by then; see [`evenstock_domain::StoreSync::watched_by`].
pub(crate) async fn watch<S, C>(store: &S, clock: &C, stored: &StoredStore, within_ms: i64) -> Result<(), StoreError>
where
    S: MarketplaceStores,
    C: Clock,
{
    let by = clock.now().plus_millis(within_ms);
    step_store(store, clock, &stored.store.id, Some(stored.clone()), |current, _| {
        let sync = current.sync.watched_by(by)?;
        Some(MarketplaceStore { sync, ..current.clone() })
    })
    .await
    .map(|_| ())
}
