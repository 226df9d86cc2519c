//! What a stream record tells of.

use aws_lambda_events::event::dynamodb::EventRecord;
use evenstock_app::{Candidate, Conflict, MarketplaceStore, OversoldSale, StoreError};
use evenstock_domain::{OrganizationId, Quantity, Receipt, Reservation, Timestamp};
use evenstock_store::{
    LevelChanges, conflict_change, level_change, oversold_change, receipt_change, reservation_change, store_change,
    trace_of,
};
use evenstock_telemetry::TraceContext;

/// What a record tells of.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Happening {
    /// A level gained versions, oldest first.
    Changed {
        /// Whose level it is.
        organization: OrganizationId,
        /// The changes.
        changes: Vec<Candidate>,
        /// The level's threshold of low stock.
        low_stock: Option<Quantity>,
        /// Those of them that are orders which took more than there was.
        oversold: Vec<OversoldSale>,
    },
    /// A reservation came to another state.
    Moved(Box<Reservation>),
    /// A receipt was written; before and after.
    Receipt(Option<Box<Receipt>>, Box<Receipt>),
    /// A marketplace store was written; before and after.
    Store(Option<Box<MarketplaceStore>>, Box<MarketplaceStore>),
    /// A conflict was found (`true`), or settled.
    Disputed(Box<Conflict>, bool),
    /// Nothing that anybody follows.
    Nothing,
}

/// Reads a record.
///
/// # Errors
/// [`StoreError::Corrupt`] when an image cannot be read.
pub(crate) fn read(record: &EventRecord) -> Result<Happening, StoreError> {
    let image = |item: &serde_dynamo::Item| (!item.is_empty()).then(|| item.clone());
    let (old, new) = (image(&record.change.old_image), image(&record.change.new_image));
    if let Some(receipt) = receipt_change(new.as_ref())? {
        return Ok(Happening::Receipt(receipt_change(old.as_ref())?.map(Box::new), Box::new(receipt)));
    }
    if let Some(store) = store_change(new.as_ref())? {
        return Ok(Happening::Store(store_change(old.as_ref())?.map(Box::new), Box::new(store)));
    }
    match (reservation_change(old.as_ref())?, reservation_change(new.as_ref())?) {
        (None, None) => {}
        // Its end was followed when it came to it.
        (Some(old), Some(new)) if old == new => return Ok(Happening::Nothing),
        (_, Some(reservation)) => return Ok(Happening::Moved(Box::new(reservation))),
        (Some(_), None) => return Ok(Happening::Nothing),
    }
    match (conflict_change(old.as_ref())?, conflict_change(new.as_ref())?) {
        (None, None) => {}
        (old, Some(conflict)) => return Ok(Happening::Disputed(Box::new(conflict), old.is_none())),
        (Some(_), None) => return Ok(Happening::Nothing),
    }
    let oversold = oversold_change(old.as_ref(), new.as_ref())?;
    let Some(LevelChanges { key, changes, low_stock }) = level_change(old, new)? else {
        return Ok(Happening::Nothing);
    };
    // Whole seconds in AWS; a record without a time counts as older than every page.
    let millis = record.change.approximate_creation_date_time.timestamp_millis();
    let recorded_at = Timestamp::EPOCH.plus_millis(millis);
    let candidates = changes.into_iter().map(|change| Candidate { change, recorded_at }).collect();
    Ok(Happening::Changed { organization: key.organization, changes: candidates, low_stock, oversold })
}

/// The trace of the write that a record tells of, if somebody follows it.
pub(crate) fn origin(record: &EventRecord, read: &Result<Happening, StoreError>) -> Option<TraceContext> {
    let is_followed = read.as_ref().is_ok_and(|happening| *happening != Happening::Nothing);
    if is_followed { trace_of(&record.change.new_image) } else { None }
}
