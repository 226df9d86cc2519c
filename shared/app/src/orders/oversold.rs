//! Orders that took more than there was: found where it shows, in the level, and noted where it is asked for, on the
//! receipt.
//!
//! A level's entry carries its event's id and time. The time of an order's line is the time of the import, to the
//! millisecond, so the index of answers leads back to the few receipts that it can be of, and the id tells which.

use evenstock_domain::{
    EntryKind, EventId, EventIdKey, LevelKey, Past, Receipt, ReceiptId, StockLevel, StoreId, Timestamp,
};

use super::watch::{Moved, Wanted, step_receipt};
use super::{MarketplaceStores, ReceiptStore};
use crate::{Clock, StoreError};

/// How long the index may take to show an import, in milliseconds. Until then a receipt that is not found is waited for.
const INDEX_LAG_MAX_MS: i64 = 2 * 60 * 1000;

/// A sale that left its level below zero.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OversoldSale {
    /// The level.
    pub key: LevelKey,
    /// The store that sold.
    pub store: StoreId,
    /// The event.
    pub event: EventId,
    /// When it happened.
    pub time: Timestamp,
    /// When it was applied.
    pub committed_at: Timestamp,
}

/// The sales of stores, among the changes that a level gained, that left it below zero.
pub fn oversold_sales(key: &LevelKey, level: &StockLevel, version_before: u64) -> Vec<OversoldSale> {
    let none = Past::none();
    let gained = level.journal(&none).take_while(|placed| placed.version > version_before);
    let oversold = gained.filter(|placed| {
        placed.entry.kind == EntryKind::Delta && placed.entry.available < 0 && placed.available_after < 0
    });
    let sale = |placed: evenstock_domain::Placed| {
        let source = level.sources.get(usize::from(placed.entry.source))?;
        let (_, store) = source.as_str().split_once('/')?;
        Some(OversoldSale {
            key: key.clone(),
            store: StoreId::parse(store).ok()?,
            event: placed.entry.id,
            time: placed.entry.time,
            committed_at: placed.entry.committed_at,
        })
    };
    oversold.filter_map(sale).collect()
}

/// Notes on their receipts which orders took more than there was; how many were not known yet. Doing so again changes
/// nothing.
///
/// # Errors
/// [`StoreError`] when the store fails, or does not show the receipt yet; the same call goes on from there.
pub async fn mark_short_orders<S, C>(
    store: &S,
    clock: &C,
    ids: &EventIdKey,
    sales: &[OversoldSale],
) -> Result<u32, StoreError>
where
    S: MarketplaceStores + ReceiptStore,
    C: Clock,
{
    let mut marked = 0;
    for sale in sales {
        let receipts = store.orders_at(&sale.store, sale.time).await?;
        let mut found = false;
        for id in &receipts {
            match mark(store, clock, ids, sale, id).await? {
                Marked::Now => (found, marked) = (true, marked + 1),
                Marked::Before => found = true,
                Marked::NotIts => {}
            }
        }
        let is_fresh = clock.now().millis_since(sale.committed_at) < INDEX_LAG_MAX_MS;
        if !found && is_fresh && store.load_store(&sale.store).await?.is_some() {
            return Err(StoreError::Unavailable("the order of an oversold line does not show in the index yet".into()));
        }
    }
    Ok(marked)
}

enum Marked {
    Now,
    Before,
    NotIts,
}

async fn mark<S: ReceiptStore, C: Clock>(
    store: &S,
    clock: &C,
    ids: &EventIdKey,
    sale: &OversoldSale,
    id: &ReceiptId,
) -> Result<Marked, StoreError> {
    let marked = step_receipt(store, clock, (&sale.store, id), None, |current, _| {
        let Some(current) = current.filter(|receipt| sold(receipt, ids, sale)) else {
            return Wanted::Leave(Marked::NotIts);
        };
        current.mark_short().map_or(Wanted::Leave(Marked::Before), |next| Wanted::Write(Box::new(next)))
    });
    Ok(match marked.await? {
        Moved::Written(_) => Marked::Now,
        Moved::Left(marked) => marked,
    })
}

/// Whether one of its lines is the sale.
fn sold(receipt: &Receipt, ids: &EventIdKey, sale: &OversoldSale) -> bool {
    let Some((_, lines)) = receipt.taken().filter(|_| receipt.organization == sale.key.organization) else {
        return false;
    };
    let is_line = |(place, line): (usize, &evenstock_domain::Line)| {
        line.sku == sale.key.sku
            && line.location == sale.key.location
            && ids.event_id(&receipt.line_event(place)) == sale.event
    };
    lines.iter().enumerate().any(is_line)
}
